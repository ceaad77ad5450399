"""Whole units (patients, parts, or single images) drawn again with replacement (bootstrap, Efron 1979), and intervals from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Interval = tuple[float, float]
RESAMPLES = 2_000
CELLS = 4_000_000  # of a table of draws that is held at once
MANY = 30  # groups from which percentiles are as good as Student's quantile


def draw_sums(own: Numbers, rng: np.random.Generator, resamples: int = RESAMPLES) -> Numbers:
    """Return sums [resamples, k] over as many units as there are, drawn with replacement from `own` [units, k].

    Units that look alike are drawn together, as one kind of many: far fewer kinds than units, the same distribution.
    """
    kinds, number = np.unique(own, axis=0, return_counts=True)
    step = max(1, CELLS // len(kinds))
    drawn = [
        rng.multinomial(len(own), number / len(own), size=min(step, resamples - start)) @ kinds
        for start in range(0, resamples, step)
    ]
    return np.asarray(np.concatenate(drawn), np.float64)


def interval_of_images(drawn: Numbers, ends: Interval = (0.0, 1.0), level: float = 0.05) -> Interval:
    """Return the middle of draws of single images, NaN left out; all there can be (`ends`) where nothing is known."""
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return ends
    low, high = np.percentile(known, [50 * level, 100 - 50 * level])
    return float(low), float(high)


def interval_of_groups(
    value: float,
    drawn: Sequence[Numbers],
    groups: int,
    ends: Interval = (0.0, 1.0),
    level: float = 0.05,
) -> Interval:
    """Return the interval of a figure whose images belong to so many groups; `drawn`: by group, and by image.

    Percentiles of few groups are far too narrow: of two there are three different draws. Their standard error times
    Student's quantile widens as it must. Images of one group are at best as good as independent ones, so that the
    interval is never narrower than by image: few groups may be alike by chance.
    """
    if groups < 2:
        return ends  # one group tells nothing of others
    if groups >= MANY:
        spans = [interval_of_images(each, ends, level) for each in drawn]
        return min(low for low, _ in spans), max(high for _, high in spans)
    if any(np.isnan(each).all() for each in drawn):
        return ends
    from scipy.special import stdtrit  # Student's quantile

    missing = (groups / (groups - 1)) ** 0.5  # draws of n groups leave out 1 / n of the variance between them
    error = max(float(np.nanstd(each)) * part for each, part in zip(drawn, (missing, 1.0), strict=True))
    half = float(stdtrit(groups - 1, 1 - level / 2)) * error
    return max(value - half, ends[0]), min(value + half, ends[1])


def count_units(unit: npt.NDArray[np.int64] | None, among: npt.NDArray[np.bool_] | None = None) -> int:
    """Return how many units hold images, those `among` [n] where it is given; `unit` [n]: the number of each image's."""
    if unit is None:
        return 0
    return int(np.count_nonzero(np.bincount(unit if among is None else unit[among])))
