"""Whether more labelled images would help: accuracy against how many there are, and where that leads.

Measured with a linear probe on features that were learnt elsewhere, on training and validation images alone. The way on
is a power law, as errors of classifiers mostly follow (Cortes et al. 1994, "Learning Curves: Asymptotic Values and Rate
of Convergence"; Hestness et al. 2017): error(n) = floor + scale * n ** -rate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from transfer_core.evaluation.probe import Floats, Numbers, choose_strength, fit_predict, folds, reduced

SIZES = 6
REPEATS = 10
SMALLEST = 0.08  # of the images
RATES = np.geomspace(0.1, 1.5, 30)
RESAMPLES = 200


@dataclass(frozen=True)
class LearningCurve:
    """Accuracies [repeats, sizes] of a probe that learnt from `sizes` [sizes] images, each on images left out."""

    sizes: Numbers
    accuracies: Floats

    def project(self, images: Floats) -> tuple[Floats, Floats, Floats]:
        """Return accuracy expected with so many images [m], and the range [m] in which repeats of the study put it.

        The range tells how well the curve is known, not how images of other kinds would do.
        """
        rng = np.random.default_rng(11)
        drawn = rng.integers(0, len(self.accuracies), (RESAMPLES, len(self.accuracies)))
        each = np.array([power_law(self.sizes, 1 - self.accuracies[some].mean(0), images) for some in drawn])
        low, high = np.percentile(1 - each, [2.5, 97.5], axis=0)
        return 1 - power_law(self.sizes, 1 - self.accuracies.mean(0), images), low, high


def power_law(sizes: Numbers, errors: Floats, images: Floats) -> Floats:
    """Return the errors at `images` [m] of the law that fits the errors [sizes] best; floor and scale are not negative."""
    from scipy.optimize import nnls

    best, found = np.inf, np.zeros(len(images))
    for rate in RATES:
        table = np.stack([np.ones(len(sizes)), sizes.astype(np.float64) ** -rate], axis=1)
        weights, off = nnls(table, errors)
        if off < best:
            best, found = off, weights[0] + weights[1] * images**-rate
    return np.asarray(found)


def measure_curve(
    features: Floats,
    truth: Numbers,
    groups: Sequence[str] | None,
    classes: int,
    tell: Callable[[int, int], object] = lambda *_: None,
) -> LearningCurve:
    """Return how a probe does with more and more of images [n, d]; with `groups` [n] it gets more and more groups."""
    x = reduced(features)
    units = np.arange(len(truth)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    # Every repeat leaves out a fold of its own: one in five, of two ways to divide the images.
    parts = [part for seed in range(REPEATS // 5) for part in folds(truth, groups, 5, seed)]
    most = min(len(kept) for kept, _ in parts)
    sizes = np.unique(np.geomspace(max(SMALLEST * len(truth), 4 * classes), most, SIZES).astype(np.int64))
    sizes = sizes[sizes <= most]
    strengths: dict[int, float] = {}
    rows = []
    for number, (kept, out) in enumerate(parts):
        order = _mixed(truth[kept], units[kept], np.random.default_rng([number, 37]))
        row = []
        for at, size in enumerate(sizes):
            own = kept[order[:size]]
            names = None if groups is None else [str(unit) for unit in units[own]]
            if size not in strengths:
                strengths[size] = choose_strength(x[own], truth[own], names, classes)
            said = fit_predict(x[own], truth[own], x[out], classes, strengths[size]).argmax(1)
            row.append(float((said == truth[out]).mean()))
            tell(number * len(sizes) + at + 1, len(parts) * len(sizes))
        rows.append(row)
    return LearningCurve(sizes, np.array(rows))


def _mixed(truth: Numbers, units: Numbers, rng: np.random.Generator) -> Numbers:
    """Return an order of images in which every beginning has the classes in about their shares, group by group.

    Where each image is a unit of its own, classes take turns as their shares say; else groups come as they are drawn.
    """
    place = np.empty(len(truth))
    if len(np.unique(units)) == len(units):
        for label in np.unique(truth):
            own = np.flatnonzero(truth == label)
            place[rng.permutation(own)] = (np.arange(len(own)) + 0.5) / len(own)
        return np.argsort(place, kind="stable")
    turn = rng.permutation(int(units.max()) + 1)
    return np.lexsort((rng.random(len(units)), turn[units]))
