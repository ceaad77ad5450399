"""Probabilities of images, from a trained model and activations at its cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from transfer_core.models.activations import Activations
from transfer_core.models.model import Classifier

BATCH = 64


@torch.no_grad()
def predict(
    model: Classifier,
    activations: Activations,
    images: Sequence[str],
    cut: int,
    progress: Callable[[int, int], object] | None = None,
    views: int = 1,
) -> npt.NDArray[np.float32]:
    """Return class probabilities [n, classes] of images, in the unchanged view or the mean over the first `views`.

    Always in float32: a report must not depend on which device happened to be there.
    """
    model.eval()
    chunks = [images[at : at + BATCH] for at in range(0, len(images), BATCH)]
    plan = [(chunk, [view] * len(chunk)) for chunk in chunks for view in range(views)]
    parts: list[npt.NDArray[np.float32]] = []
    for number, x in enumerate(activations.batches(plan)):
        said = model(x, cut).softmax(1).cpu().numpy() / views
        if number % views:
            parts[-1] += said
        else:
            parts.append(said)
        if progress:
            progress(min((number + 1) * BATCH // views, len(images)), len(images))
    return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
