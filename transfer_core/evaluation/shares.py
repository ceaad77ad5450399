"""How many of images, with a 95 % interval: exact where images are independent, by whole groups where they are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transfer_core.evaluation.draws import draw_sums
from transfer_core.evaluation.metrics import Interval, exact

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
    return Share(count, n, interval_of_groups(draw_groups(flags, groups), flags, groups))


def draw_groups(flags: Flags, groups: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return the share of flagged images in RESAMPLES draws of whole groups."""
    units = np.unique(np.asarray(groups), return_inverse=True)[1]
    own = np.stack([np.bincount(units).astype(np.float64), np.bincount(units, flags)], axis=1)
    drawn = draw_sums(own, np.random.default_rng([0, 41]))
    return np.asarray(drawn[:, 1] / drawn[:, 0], np.float64)


def interval_of_groups(
    drawn: npt.NDArray[np.float64], flags: Flags, groups: Sequence[str], level: float = 0.05
) -> Interval:
    """Return the interval that misses in `level` of cases, from draws of whole groups."""
    if flags.all() or not flags.any():
        units = len(set(groups))
        return exact(units if flags.all() else 0, units)
    low, high = np.percentile(drawn, [50 * level, 100 - 50 * level])
    return float(low), float(high)
