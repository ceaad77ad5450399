"""How well scores put one class before the others: ROC and precision-recall curves, their areas, and intervals.

Areas as in Fawcett 2006, "An introduction to ROC analysis" (ties count half), and the average precision of Davis and
Goadrich 2006 (steps, no straight lines between points). Intervals are percentile bootstraps, or by whole groups
where images of one are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transfer_core.evaluation.draws import Interval, count_units, interval_of_groups, interval_of_images

Floats = npt.NDArray[np.float64]
RESAMPLES = 1_000
LEVELS = 1_000  # of scores, for the intervals alone
AT_ONCE = 4_000_000  # numbers in memory


@dataclass(frozen=True)
class Curves:
    """One class against the rest. All arrays [points], from the highest threshold, above which nothing is said, down.

    `recall` is the true positive rate of both curves; `fallout` the false positive rate; `precision` is 1 where nothing
    is said. NaN areas where there are images of one side only.
    """

    thresholds: Floats
    recall: Floats
    fallout: Floats
    precision: Floats
    roc_area: float
    average_precision: float
    roc_area_ci: Interval
    average_precision_ci: Interval


def make_curves(
    scores: Floats,
    positive: npt.NDArray[np.bool_],
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> Curves:
    """Return both curves for scores [n] of images that are of the class or not, with areas and 95 % intervals."""
    thresholds, place = np.unique(-scores, return_inverse=True)
    cells = 2 * place + positive
    said, hits = _cumulated(np.bincount(cells, minlength=2 * len(thresholds))[None].astype(np.float64))
    total, own = float(len(scores)), float(positive.sum())
    areas = _areas(said, hits)
    levels = min(len(thresholds), LEVELS)
    coarse = 2 * (place * levels // max(len(thresholds), 1)) + positive
    drawn = [
        _areas(*_cumulated(_draw(coarse, 2 * levels, each, np.random.default_rng([seed, 71]))))
        for each in ([None] if groups is None else [groups, None])
    ]

    def spread(value: float, column: int) -> Interval:
        draws = [each[:, column] for each in drawn]
        if groups is None:
            return interval_of_images(draws[0])
        unit = np.unique(np.asarray(groups), return_inverse=True)[1]
        return interval_of_groups(
            value, draws, min(count_units(unit, side) for side in (positive, ~positive))
        )

    with np.errstate(invalid="ignore", divide="ignore"):
        recall, fallout = hits[0] / own, (said[0] - hits[0]) / (total - own)
        precision = np.where(said[0] > 0, hits[0] / said[0], 1.0)
    return Curves(
        thresholds=np.concatenate([[np.inf], -thresholds]),
        recall=recall,
        fallout=fallout,
        precision=precision,
        roc_area=float(areas[0, 0]),
        average_precision=float(areas[0, 1]),
        roc_area_ci=spread(float(areas[0, 0]), 0),
        average_precision_ci=spread(float(areas[0, 1]), 1),
    )


def _cumulated(table: Floats) -> tuple[Floats, Floats]:
    """Return how much is said, and rightly said, from each threshold up, twice [m, points + 1].

    `table` [m, 2 * points]: how many images there are at each threshold, first those that are not of the class.
    """
    both = table.reshape(len(table), -1, 2)
    begin = np.zeros((len(table), 1))
    said, hits = (np.concatenate([begin, each.cumsum(1)], axis=1) for each in (both.sum(2), both[:, :, 1]))
    return said, hits


def _areas(said: Floats, hits: Floats) -> Floats:
    """Return ROC area and average precision [m, 2]; NaN where one side is empty."""
    own, all_ = hits[:, -1:], said[:, -1:]
    false = said - hits
    with np.errstate(invalid="ignore", divide="ignore"):
        steps = np.diff(false, axis=1) * (hits[:, 1:] + hits[:, :-1]) / 2
        roc = steps.sum(1) / (own * (all_ - own))[:, 0]
        precision = np.where(said[:, 1:] > 0, hits[:, 1:] / said[:, 1:], 0.0)
        average = (np.diff(hits, axis=1) * precision).sum(1) / own[:, 0]
    one_sided = (own[:, 0] == 0) | (own[:, 0] == all_[:, 0])
    found: Floats = np.where(one_sided[:, None], np.nan, np.stack([roc, average], axis=1))
    return found


def _draw(
    cells: npt.NDArray[np.int64], count: int, groups: Sequence[str] | None, rng: np.random.Generator
) -> Floats:
    """Return how many images fall into each cell [RESAMPLES, count] where images, or groups, are drawn again.

    Drawing n images with replacement is a multinomial draw over the cells.
    """
    n = len(cells)
    if not n:
        return np.zeros((1, count))
    if groups is None:
        shares = np.bincount(cells, minlength=count) / n
        return rng.multinomial(n, shares, size=RESAMPLES).astype(np.float64)
    from scipy.sparse import csr_matrix

    units = np.unique(np.asarray(groups), return_inverse=True)[1]
    number = int(units.max()) + 1
    own = csr_matrix((np.ones(n), (units, cells)), shape=(number, count))
    drawn = []
    for _ in range(-(-RESAMPLES * number // AT_ONCE)):
        some = min(RESAMPLES, max(1, AT_ONCE // number))
        drawn.append(rng.multinomial(number, np.full(number, 1 / number), size=some) @ own)
    return np.asarray(np.concatenate(drawn)[:RESAMPLES], dtype=np.float64)
