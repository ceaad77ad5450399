"""Probabilities and features of images, from a trained model and activations at its cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from transfer_core.models.activations import Activations
from transfer_core.models.model import MAIN, Classifier

BATCH = 64
LARGEST = 65504.0  # float16


@dataclass(frozen=True)
class Seen:
    """What a model makes of images: class probabilities [n, classes] and the features [n, d] they follow from."""

    probabilities: npt.NDArray[np.float32]
    features: npt.NDArray[np.float16]


@torch.no_grad()
def predict(
    model: Classifier,
    activations: Activations,
    images: Sequence[str],
    cut: int,
    progress: Callable[[int, int], object] | None = None,
    views: int = 1,
) -> Seen:
    """Return what the model makes of images, in the unchanged view or the mean over the first `views`.

    Probabilities always in float32: a report must not depend on which device happened to be there. Features, for
    likenesses and maps, in half precision.
    """
    model.eval()
    chunks = [images[at : at + BATCH] for at in range(0, len(images), BATCH)]
    plan = [(chunk, [view] * len(chunk)) for chunk in chunks for view in range(views)]
    said: list[npt.NDArray[np.float32]] = []
    seen: list[npt.NDArray[np.float16]] = []
    for number, x in enumerate(activations.batches(plan)):
        features = model.features(x, cut)
        chances = model.heads[MAIN](features).softmax(1).cpu().numpy() / views
        half = (features / views).clamp(-LARGEST, LARGEST).half().cpu().numpy()
        if number % views:
            said[-1] += chances
            seen[-1] += half
        else:
            said.append(chances)
            seen.append(half)
        if progress:
            progress(min((number + 1) * BATCH // views, len(images)), len(images))
    if not said:
        return Seen(np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float16))
    return Seen(np.concatenate(said), np.concatenate(seen))
