"""How many of images, with a 95 % interval: exact where images are independent, by whole groups where they are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transfer_core.evaluation.draws import RESAMPLES, Interval, draw_sums, interval_of_groups
from transfer_core.evaluation.metrics import exact

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Share:
    """So many of n images, with the interval of the share."""

    count: int
    n: int
    interval: Interval

    def per(self, number: int) -> tuple[float, float, float]:
        """Return how many that is of a number of images, with the interval's ends."""
        low, high = self.interval
        return number * self.count / max(self.n, 1), number * low, number * high


def share_of(flags: Flags, groups: Sequence[str] | None) -> Share:
    """Return how many of images [n] are flagged; with `groups` [n] the interval draws whole groups.

    Where all or none are flagged, resampling would find no spread at all: then each group counts as one image.
    """
    n, count = len(flags), int(flags.sum())
    if groups is None or not n:
        return Share(count, n, exact(count, n))
    return Share(count, n, intervals_of_share(flags, groups, 0.05)[0])


def intervals_of_share(flags: Flags, groups: Sequence[str], *levels: float) -> list[Interval]:
    """Return the intervals that miss the share of flagged images in each of `levels` of cases, whole groups being drawn."""
    units = np.unique(np.asarray(groups), return_inverse=True)[1]
    number = int(units.max()) + 1
    if flags.all() or not flags.any():
        return [exact(number if flags.all() else 0, number)] * len(levels)
    own = np.stack([np.bincount(units).astype(np.float64), np.bincount(units, flags)], axis=1)
    drawn = draw_sums(own, np.random.default_rng([0, 41]))
    alone = np.random.default_rng([0, 43]).binomial(len(flags), flags.mean(), RESAMPLES) / len(flags)
    by_group = np.asarray(drawn[:, 1] / drawn[:, 0], np.float64)
    return [interval_of_groups(float(flags.mean()), (by_group, alone), number, level=each) for each in levels]
