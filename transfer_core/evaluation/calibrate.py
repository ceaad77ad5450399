"""Whether a probability means what it says: temperature scaling, the reliability diagram and its one figure.

Guo et al. 2017, "On Calibration of Modern Neural Networks". One number, the temperature, is fitted on validation images
and divides the logits; the class that is said stays the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
COLDEST, HOTTEST = 0.05, 20.0
BINS = 15  # as in Guo et al. 2017


def fit_temperature(probabilities: Floats, truth: npt.NDArray[np.int64]) -> float:
    """Return the temperature at which probabilities [n, classes] give true classes [n] the highest likelihood.

    The loss is convex in 1 / temperature, so that its slope is sought where it is zero, by halving. Where all are right the
    likelihood only grows with sureness: nothing can be fitted, and the temperature is 1.
    """
    logits = _logits(probabilities)
    rows = np.arange(len(truth))

    def slope(inverse: float) -> float:
        """Return the derivative of the mean loss by 1 / temperature."""
        expected = (_softmax(inverse * logits) * logits).sum(1)
        return float((expected - logits[rows, truth]).mean())

    if (logits.argmax(1) == truth).all():  # also of no images: any sureness fits, the greatest best
        return 1.0
    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(60):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return float(1 / np.sqrt(low * high))


def apply_temperature(probabilities: Floats, temperature: float) -> Floats:
    """Return probabilities [n, classes] at a temperature: above 1 less sure, below 1 surer, the order the same."""
    return _softmax(_logits(probabilities) / temperature)


@dataclass(frozen=True)
class Reliability:
    """How often what is said with a confidence is right: arrays [bins that have any], and the figure of them all.

    `error` is the expected calibration error: the mean gap between confidence and accuracy, weighted by images.
    """

    confidence: Floats
    accuracy: Floats
    images: npt.NDArray[np.int64]
    error: float


def reliability(probabilities: Floats, truth: npt.NDArray[np.int64], bins: int = BINS) -> Reliability:
    """Return the reliability of the likeliest class of probabilities [n, classes], in bins of equal width."""
    said, sure = probabilities.argmax(1), probabilities.max(1)
    place = np.minimum((sure * bins).astype(int), bins - 1)
    images = np.bincount(place, minlength=bins)
    known = images > 0
    confidence = np.bincount(place, sure, bins)[known] / images[known]
    accuracy = np.bincount(place, said == truth, bins)[known] / images[known]
    shares = images[known] / max(len(truth), 1)
    error = float((shares * np.abs(confidence - accuracy)).sum())
    return Reliability(confidence, accuracy, images[known], error)


def _logits(probabilities: Floats) -> Floats:
    logits: Floats = np.log(np.maximum(np.asarray(probabilities, np.float64), 1e-30))
    return logits


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    shares: Floats = powers / powers.sum(1, keepdims=True)
    return shares
