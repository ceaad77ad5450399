"""Prediction sets that hold the true class as often as was asked for: split conformal prediction.

Sadinle et al. 2019, "Least Ambiguous Set-Valued Classifiers With Bounded Error Levels"; Angelopoulos and Bates 2021, "A
Gentle Introduction to Conformal Prediction". Fitted on images that the model was not trained on; it holds for images
drawn as these were, and for no others: under domain shift it is void.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Conformal:
    """A fitted rule. `threshold`: the probability from which a class is in the set; `units`, images or groups, it was fitted on."""

    coverage: float
    threshold: float
    units: int

    @property
    def is_possible(self) -> bool:
        """Whether there were images enough to promise the coverage with anything but all classes."""
        return self.threshold > 0


def fit_conformal(
    probabilities: Floats, truth: npt.NDArray[np.int64], coverage: float, groups: Sequence[str] | None = None
) -> Conformal:
    """Return the rule for a coverage in 0..1 from probabilities [n, classes] and true classes [n] of calibration images.

    With `groups` [n] it holds for an image of a new group: each group counts as one unit, divided among its images, and the
    new one as a further unit (hierarchical conformal prediction, Lee et al. 2023, "Distribution-Free Inference with
    Hierarchical Data").
    """
    units = np.arange(len(truth)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    sizes = np.bincount(units) if len(units) else np.zeros(0)
    own = np.asarray(probabilities, np.float64)[np.arange(len(truth)), truth]
    order = np.argsort(-own, kind="stable")
    held = np.cumsum(
        1 / (sizes[units[order]] * (len(sizes) + 1))
    )  # the share held if the threshold were this one's
    reach = np.flatnonzero(held >= coverage - 1e-9)
    return Conformal(coverage, float(own[order[reach[0]]]) if len(reach) else 0.0, len(sizes))


def prediction_sets(threshold: float, probabilities: Floats) -> npt.NDArray[np.bool_]:
    """Return which classes reach a rule's threshold, for each image [n, classes]; the likeliest always is in."""
    inside = np.asarray(probabilities, np.float64) >= threshold
    inside[np.arange(len(inside)), probabilities.argmax(1)] = True
    return inside
