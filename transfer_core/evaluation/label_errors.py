"""Labels that may be wrong, by confident learning on predictions for images that were left out.

Northcutt et al. 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels": an image is suspected where the
others, without it, say another class as surely as they say that class of its own images on average, and surer than its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from transfer_core.evaluation.probe import Floats, Numbers, choose_strength, fit_predict, folds, reduced

FOLDS = 5


@dataclass(frozen=True)
class Suspects:
    """Images whose label may be wrong, the most suspected first: `images` [m] their places, `instead` [m] the class said.

    `margin` [m]: probability of the given class minus that of the other, below 0.
    """

    images: Numbers
    instead: Numbers
    margin: Floats


def out_of_fold(
    features: Floats,
    truth: Numbers,
    groups: Sequence[str] | None,
    classes: int,
    tell: Callable[[int, int], object] = lambda *_: None,
) -> Floats:
    """Return class probabilities [n, classes] of images by a probe that learnt from others, and from no other of their group."""
    x = reduced(features)
    parts = folds(truth, groups, FOLDS)
    steps = len(parts) + 1
    strength = choose_strength(x, truth, groups, classes)
    tell(1, steps)
    found = np.full((len(x), classes), 1 / classes)
    for number, (kept, out) in enumerate(parts, start=2):
        found[out] = fit_predict(x[kept], truth[kept], x[out], classes, strength)
        tell(number, steps)
    return found


def find_suspects(probabilities: Floats, truth: Numbers) -> Suspects:
    """Return the images whose labels [n] their out-of-fold probabilities [n, classes] speak against."""
    rows = np.arange(len(truth))
    classes = probabilities.shape[1]
    usual = np.array(
        [probabilities[truth == c, c].mean() if (truth == c).any() else np.inf for c in range(classes)]
    )
    sure = np.where(probabilities >= usual, probabilities, -1.0)
    said = sure.argmax(1)
    suspected = np.flatnonzero((sure.max(1) > 0) & (said != truth) & (probabilities.argmax(1) != truth))
    margin = (probabilities[rows, truth] - probabilities[rows, said])[suspected]
    order = np.argsort(margin, kind="stable")
    return Suspects(suspected[order], said[suspected][order].astype(np.int64), margin[order])
