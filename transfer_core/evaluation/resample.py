"""The same test images drawn again and again for many models at once (paired bootstrap, Efron and Tibshirani 1993).

What makes an image easy or hard for all models cancels out of their differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transfer_core.evaluation.draws import CELLS, RESAMPLES

Numbers = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int64]
KINDS = 4_000  # of images that fare differently, beyond which they are drawn in bundles


@dataclass(frozen=True)
class Figures:
    """Accuracy and balanced accuracy [..., runs] and recall [..., classes, runs]; NaN for a class without images."""

    accuracy: Numbers
    balanced_accuracy: Numbers
    recall: Numbers


def make_figures(images: Numbers, right: Numbers) -> Figures:
    """Return the figures of counts: images [..., classes], and how many of them are right [..., classes, runs]."""
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = right / images[..., None]
        accuracy = right.sum(-2) / images.sum(-1)[..., None]
    there = (images > 0)[..., None]
    balanced = np.where(there, recall, 0.0).sum(-2) / np.maximum(there.sum(-2), 1)
    return Figures(accuracy, balanced, recall)


def count(numbers: Classes, right: Numbers, most: int) -> tuple[Numbers, Numbers]:
    """Return images [most] and how many are right [most, runs], under each number [n], of right [n, runs]."""
    images = np.bincount(numbers, minlength=most).astype(np.float64)
    found = [np.bincount(numbers, weights=column, minlength=most) for column in right.T]
    return images, np.stack(found, axis=1).astype(np.float64)


def number_units(n: int, groups: Sequence[str] | None) -> Classes:
    """Return the number of the unit [n] that each image is drawn with: its group, or itself."""
    if groups is None:
        return np.arange(n, dtype=np.int64)
    return np.asarray(np.unique(np.asarray(groups), return_inverse=True)[1], np.int64)


def draw_figures(
    truth: Classes, right: Numbers, classes: int, groups: Sequence[str] | None = None, seed: int = 0
) -> Figures:
    """Return the figures of 2,000 resamples of the images, each drawn alike for all runs.

    `truth` [n] class numbers, `right` [n, runs] 1 where a run is right; with `groups` [n] whole groups are drawn.
    """
    rng = np.random.default_rng([seed, 98])
    units, number = number_units(len(truth), groups), None
    if groups is None:  # images that fared alike are drawn together: far fewer kinds than images
        _, first, counts = np.unique(np.c_[truth, right], axis=0, return_index=True, return_counts=True)
        if len(first) <= KINDS:
            truth, right, units = truth[first], right[first], np.arange(len(first), dtype=np.int64)
            number = counts.astype(np.float64)
        else:  # independent images bundled at random vary as much as each by itself
            units = rng.permutation(len(truth)) % KINDS
    if number is None:
        number = np.ones(int(units.max()) + 1)
    parts = [
        (held, *count(inverse, right[truth == label], len(held)))
        for label in range(classes)
        for held, inverse in [np.unique(units[truth == label], return_inverse=True)]
    ]
    images = np.zeros((RESAMPLES, classes))
    hits = np.zeros((RESAMPLES, classes, right.shape[1]))
    step = max(1, CELLS // len(number))
    for start in range(0, RESAMPLES, step):
        end = min(start + step, RESAMPLES)
        times = rng.multinomial(int(number.sum()), number / number.sum(), size=end - start) * 1.0
        for label, (held, own_images, own_right) in enumerate(parts):
            images[start:end, label] = times[:, held] @ own_images
            hits[start:end, label] = times[:, held] @ own_right
    return make_figures(images, hits)
