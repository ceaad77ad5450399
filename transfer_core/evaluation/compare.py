"""Whether one model is better than another on the same images.

Paired: the same images, or whole groups of them, are drawn for both (Efron and Tibshirani 1993), so that
what makes an image easy or hard for both cancels out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from transfer_core.evaluation.draws import (
    Interval,
    count_units,
    draw_sums,
    interval_of_groups,
    interval_of_images,
)

Classes = npt.NDArray[np.int64]  # [n] class numbers
LEVEL = 0.05
ENDS = (-1.0, 1.0)  # between which a difference lies
HARM = -0.03  # a point estimate from which a method is flagged, whatever the interval says


@dataclass(frozen=True)
class Difference:
    """Balanced accuracy of one model minus another's, with its 95 % interval."""

    value: float
    interval: Interval
    n: int
    resampled: str  # "images" or "groups"
    units: int = (
        1_000_000  # of those that hold the class fewest hold, or on which the models differ: the fewer
    )

    @property
    def verdict(self) -> Literal["better", "cannot tell", "worse"]:
        """Better or worse only where the whole interval is on one side of 0.

        And only where there are units enough: that all of five differ in one direction happens by chance in 1 of 16 cases.
        """
        if too_few(self.units):
            return "cannot tell"
        low, high = self.interval
        return "better" if low > 0 else "worse" if high < 0 else "cannot tell"

    @property
    def is_harmful(self) -> bool:
        """Whether to warn: surely worse, or worse by 3 points as it looks."""
        return self.verdict == "worse" or self.value <= HARM


def too_few(units: int) -> bool:
    """Tell whether so many units could all differ in one direction by chance."""
    return 2.0 ** (1 - units) >= LEVEL


def paired_difference(
    truth: Classes,
    first: Classes,
    second: Classes,
    classes: int,
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> Difference:
    """Return the difference in balanced accuracy of two models' predictions for the same images.

    `truth`, `first`, `second` [n]: class numbers. With `groups` [n] whole groups are drawn.
    A seeded bootstrap of 2,000 resamples; a class that a resample lacks is left out of it. Percentiles for images; for
    groups, of which there are mostly few, see `draws.interval_of_groups`. Where draws of too few units are all alike, the
    interval is all there can be.
    """
    alone = np.arange(len(truth))
    units = alone if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    told = np.stack([np.ones(len(truth)), first == truth, second == truth], axis=1)
    value, drawn = _draw(truth, told, classes, units, seed)
    # A mean over classes is no surer than the class that fewest units hold.
    least = min((count_units(units, truth == label) for label in np.unique(truth)), default=0)
    if groups is None:
        interval = interval_of_images(drawn, ENDS)
    else:
        both = drawn, _draw(truth, told, classes, alone, seed)[1]
        interval = interval_of_groups(value, both, least, ENDS)
    number = min(least, count_units(units, first != second))
    if value and too_few(number) and interval[0] == interval[1]:
        interval = ENDS  # so few that draws of them are all alike tell nothing of others
    return Difference(
        value=value,
        interval=interval,
        units=number,
        n=len(truth),
        resampled="images" if groups is None else "groups",
    )


def _draw(
    truth: Classes, told: npt.NDArray[np.float64], classes: int, units: Classes, seed: int
) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the difference, and that of resamples of units [n]; `told` [n, 3]: 1, right by the first, by the second."""
    own = np.zeros((int(units.max()) + 1, classes, 3))
    np.add.at(own, (units, truth), told)
    drawn = draw_sums(own.reshape(len(own), -1), np.random.default_rng([seed, 97])).reshape(-1, classes, 3)
    return float(_difference(own.sum(0)[None])[0]), _difference(drawn)


def _difference(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the differences [m] of balanced accuracy of counts [m, classes, 3]."""
    with np.errstate(invalid="ignore", divide="ignore"):
        gaps = (counts[..., 1] - counts[..., 2]) / counts[..., 0]
    return np.asarray(np.nanmean(gaps, axis=1))
