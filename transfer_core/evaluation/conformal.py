"""Prediction sets that hold the true class as often as was asked for: split conformal prediction.

Angelopoulos and Bates 2021, "A Gentle Introduction to Conformal Prediction"; Romano et al. 2020, "Classification with
Valid and Adaptive Coverage", with the random step that makes the coverage exact. Fitted on images that the model was
not trained on; it holds for images drawn as these were, and for no others: under domain shift it is void.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Conformal:
    """A fitted rule. `quantile`: how far down the classes, the likeliest first, a set goes; above 1: all classes."""

    coverage: float
    quantile: float
    images: int

    @property
    def is_possible(self) -> bool:
        """Whether there were images enough to promise the coverage with anything but all classes."""
        return self.quantile <= 1


def fit_conformal(
    probabilities: Floats, truth: npt.NDArray[np.int64], coverage: float, seed: int = 0
) -> Conformal:
    """Return the rule for a coverage in 0..1 from probabilities [n, classes] and true classes [n] of calibration images."""
    n = len(truth)
    reach = _reach(probabilities, seed)[np.arange(n), truth]
    rank = int(np.ceil((n + 1) * coverage))  # of n + 1, the new image being one of them
    quantile = float(np.sort(reach)[rank - 1]) if rank <= n else 2.0
    return Conformal(coverage, quantile, n)


def prediction_sets(rule: Conformal, probabilities: Floats, seed: int = 1) -> npt.NDArray[np.bool_]:
    """Return which classes are in the set of each image [n, classes]; the likeliest always is."""
    inside = _reach(probabilities, seed) <= rule.quantile
    inside[np.arange(len(inside)), probabilities.argmax(1)] = True
    return inside


def _reach(probabilities: Floats, seed: int) -> Floats:
    """Return for each class [n, classes] the probability of all likelier ones, and of a random part of its own.

    The part is one draw for an image, so that a set has no gaps.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ranked = np.take_along_axis(np.asarray(probabilities, np.float64), order, axis=1)
    part = np.random.default_rng([seed, 41]).random((len(ranked), 1))
    before = ranked.cumsum(1) - ranked
    reach = np.empty_like(ranked)
    np.put_along_axis(reach, order, before + part * ranked, axis=1)
    return reach
