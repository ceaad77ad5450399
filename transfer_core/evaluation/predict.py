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
) -> npt.NDArray[np.float32]:
    """Return class probabilities [n, classes] of images, each in its unchanged view.

    Always in float32: a report must not depend on which device happened to be there.
    """
    model.eval()
    plan = [
        (images[at : at + BATCH], [0] * len(images[at : at + BATCH])) for at in range(0, len(images), BATCH)
    ]
    parts = []
    for number, x in enumerate(activations.batches(plan), start=1):
        parts.append(model(x, cut).softmax(1).cpu().numpy())
        if progress:
            progress(min(number * BATCH, len(images)), len(images))
    return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
