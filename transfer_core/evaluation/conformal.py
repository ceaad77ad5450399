"""Prediction sets that hold the true class as often as was asked for: split conformal prediction.

Sadinle et al. 2019, "Least Ambiguous Set-Valued Classifiers With Bounded Error Levels"; Angelopoulos and Bates 2021, "A
Gentle Introduction to Conformal Prediction". Fitted on images that the model was not trained on; it holds for images
drawn as these were, and for no others: under domain shift it is void.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Conformal:
    """A fitted rule. `threshold`: the probability from which a class is in the set; `images` it was fitted on."""

    coverage: float
    threshold: float
    images: int

    @property
    def is_possible(self) -> bool:
        """Whether there were images enough to promise the coverage with anything but all classes."""
        return self.threshold > 0


def fit_conformal(probabilities: Floats, truth: npt.NDArray[np.int64], coverage: float) -> Conformal:
    """Return the rule for a coverage in 0..1 from probabilities [n, classes] and true classes [n] of calibration images."""
    n = len(truth)
    own = np.sort(np.asarray(probabilities, np.float64)[np.arange(n), truth])[::-1]
    rank = int(np.ceil((n + 1) * coverage))  # of n + 1, the new image being one of them
    return Conformal(coverage, float(own[rank - 1]) if rank <= n else 0.0, n)


def prediction_sets(threshold: float, probabilities: Floats) -> npt.NDArray[np.bool_]:
    """Return which classes reach a rule's threshold, for each image [n, classes]; the likeliest always is in."""
    inside = np.asarray(probabilities, np.float64) >= threshold
    inside[np.arange(len(inside)), probabilities.argmax(1)] = True
    return inside
