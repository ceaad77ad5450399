"""Is an image like those the model has learnt from? A photograph of a dog is no solar cell, whatever class is said.

Sun et al. 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors": features are scaled to length 1, and an
image is as unlike as its k-th nearest training image is far. How far is too far is told by the validation images, which
the model was not trained on: an image is flagged if hardly any of them lies that far out (a conformal p-value; Bates et
al. 2023, "Testing for Outliers with Conformal p-values"). Of images drawn as the validation images were, at most that
share is flagged by mistake; under domain shift more are, because the images are then indeed others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from transfer_core.data.manifest import TARGET_TRAIN
from transfer_core.errors import UserError
from transfer_core.evaluation.report import Report

Floats = npt.NDArray[np.float64]
LEARNT = ("train", TARGET_TRAIN)  # parts
REFERENCE = 5_000  # training images that are looked at; more cost time and change little
NEIGHBOURS = 5
SHARE = 0.01  # of images like the validation ones that may be flagged by mistake
FEWEST = 19  # validation images; with fewer, more than 5 % would have to be flagged by mistake
AT_ONCE = 1_024  # images of which distances to all of the reference are in memory


@dataclass(frozen=True)
class Familiar:
    """What a run has learnt from. `reference` [m, d]: training images' features, of length 1.

    `own` [n], ascending: how far validation images are from it.
    """

    reference: npt.NDArray[np.float32]
    own: Floats
    neighbours: int = NEIGHBOURS

    def distances(self, features: npt.NDArray[np.floating[Any]]) -> Floats:
        """Return how far images are from what is known, from features [n, d]: 0 (known) to 2, without unit."""
        return nearest_distances(self.reference, features, self.neighbours)

    def p_values(self, distances: Floats) -> Floats:
        """Return the share of images like the validation ones that lie as far out or further, for each distance [n]."""
        beyond = len(self.own) - np.searchsorted(self.own, distances, side="left")
        return np.asarray((1 + beyond) / (len(self.own) + 1), np.float64)

    @property
    def images(self) -> int:
        """How many validation images it was fitted on."""
        return len(self.own)


def promised_share(images: int, wanted: float = SHARE) -> float:
    """Return the share of images flagged by mistake, at most, that a number of validation images can promise.

    What is wanted where there are 1 / wanted - 1 images or more; with fewer only what lies beyond all of them is flagged.
    """
    return max(wanted, 1 / (images + 1))


def is_unknown(p_values: Floats, images: int, wanted: float = SHARE) -> npt.NDArray[np.bool_]:
    """Return which images [n] are flagged; none of NaN, where no features were kept."""
    return np.asarray(p_values <= promised_share(images, wanted) + 1e-12)


def is_read(report: Report) -> npt.NDArray[np.bool_]:
    """Return which of a report's images [n] are read here: those learnt from, and the validation images."""
    return np.isin(np.array(report.parts), (*LEARNT, "val"))


def fit_familiar(report: Report, features: npt.NDArray[np.floating[Any]], seed: int = 0) -> Familiar:
    """Return what a run has learnt from, given the features [n, d] of its report's images.

    UserError where there are too few training or validation images to tell anything.
    """
    parts = np.array(report.parts)
    learnt = np.flatnonzero(np.isin(parts, LEARNT))
    checked = np.flatnonzero(parts == "val")
    if len(learnt) < NEIGHBOURS or len(checked) < FEWEST:
        message = (
            f"To tell images unlike the training images takes {FEWEST} validation images or more; this run has "
            f"{len(checked):,}. Train it on more images, or with a larger validation part."
        )
        raise UserError(message, "too-few")
    if len(learnt) > REFERENCE:
        learnt = np.sort(np.random.default_rng([seed, 41]).permutation(learnt)[:REFERENCE])
    reference = _of_length_1(np.asarray(features[learnt]))
    own = np.sort(nearest_distances(reference, np.asarray(features[checked]), NEIGHBOURS))
    return Familiar(reference, own)


def nearest_distances(
    reference: npt.NDArray[np.float32], features: npt.NDArray[np.floating[Any]], neighbours: int
) -> Floats:
    """Return the distance of each image [n] to its `neighbours`-th nearest of a reference [m, d] of length 1.

    Found by a matrix product, then measured again by differences, so that the same image is at distance 0.
    """
    found = np.empty(len(features))
    for start in range(0, len(features), AT_ONCE):
        chunk = _of_length_1(np.asarray(features[start : start + AT_ONCE]))
        near = np.argpartition(-(chunk @ reference.T), neighbours - 1, axis=1)[:, :neighbours]
        for row, (own, places) in enumerate(zip(chunk, near, strict=True)):
            found[start + row] = np.sqrt(((reference[places] - own) ** 2).sum(1, dtype=np.float64)).max()
    return found


def _of_length_1(features: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    wide = features.astype(np.float32)
    length = np.sqrt((wide**2).sum(1, keepdims=True))
    scaled: npt.NDArray[np.float32] = wide / np.maximum(length, 1e-12)
    return scaled
