"""What is black and what is white in a whole set of images of more than 8 bits: one range, by all their values.

The range is robust: a thousandth of the set's values lies below it, and as many above. A few images with
something in them that is far brighter than all the rest, a marker of lead on a scan, do not darken the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

OUTSIDE = 0.001  # share of the set's values that may lie beyond black, and as many beyond white
MARKED = 0.05  # share of an image's values that a marker takes at most
FEW = 0.1  # share of the images that may hold one; always one image
DARKENS = 2  # how many times wider a range has to be with markers than without before they are left out
# Shares of an image's values up to which its largest ones are noted: the tail closely, the rest roughly.
_TAIL = np.array(
    [0, 1e-4, 2e-4, 5e-4, 1e-3, 1.5e-3, 2e-3, 3e-3, 4e-3, 5e-3, 6e-3, 8e-3, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07,
     0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0]
)  # fmt: skip
_AT = int(np.searchsorted(_TAIL, OUTSIDE))
Outline = npt.NDArray[np.float64]  # [2, tail]: of the values times -1, then of the values, the largest first


@dataclass(frozen=True)
class Range:
    """Black and white of a set, the files that set them, and those of which markers were left out."""

    low: float
    high: float
    darkest: str
    brightest: str
    marked: tuple[str, ...] = ()

    def told(self) -> list[tuple[str, str]]:
        """Return what is to be said, of the set and of files."""
        text = (
            f"black is {self.low:g}, set by {self.darkest}, and white is {self.high:g}, set by {self.brightest} "
            f"(robust range: {OUTSIDE:.1%} of the values of all images lie beyond either end)"
        )
        marker = (
            "a small part lies far beyond black or white of the others (a marker?): left out of the range"
        )
        return [("", text), *((file, marker) for file in self.marked)]


def draw_outline(values: npt.NDArray[Any]) -> Outline:
    """Return the tails of an image's values (numbers, in a row) on both sides."""
    ordered = np.sort(values, axis=None)
    last = len(ordered) - 1
    below = -ordered[np.floor(_TAIL * last).astype(int)].astype(np.float64)
    return np.stack([below, ordered[np.ceil((1 - _TAIL) * last).astype(int)].astype(np.float64)])


def find_range(outlines: Mapping[str, Outline]) -> Range:
    """Return black and white for images, given by their files; every image counts alike, whatever its size."""
    files = list(outlines)
    below, above = (_End.find(np.stack([outlines[file][side] for file in files])) for side in (0, 1))
    low, high = -below.end, above.end
    inner_low, inner_high = -below.inner, above.inner
    marked: list[int] = []
    if high - inner_low > DARKENS * (inner_high - inner_low):
        high, marked = inner_high, above.marked
    if inner_high - low > DARKENS * (inner_high - inner_low):
        low, marked = inner_low, [*marked, *below.marked]
    darkest, brightest = (
        max((n for n in range(len(files)) if n not in marked), key=lambda n, side=side: outlines[files[n]][side][_AT])  # type: ignore[misc]
        for side in (0, 1)
    )  # fmt: skip
    return Range(low, high, files[darkest], files[brightest], tuple(files[n] for n in dict.fromkeys(marked)))


@dataclass(frozen=True)
class _End:
    """White of a set, `inner` where markers are left out, and the images that hold these."""

    end: float
    inner: float
    marked: list[int]

    @classmethod
    def find(cls, tails: npt.NDArray[np.float64]) -> _End:
        """Look at the largest values of all images [images, tail]."""
        end = _white(tails)
        brightest = np.argsort(-tails[:, _AT], kind="stable")
        few = max(1, int(FEW * len(tails)))
        if len(tails) < 3:
            return cls(end, end, [])
        bound = _white(tails[brightest[few:]])
        marked = [
            int(n)
            for n in brightest[:few]
            if bound < tails[n, _AT] and _above(tails[n : n + 1], bound) <= MARKED
        ]
        others = np.delete(tails, marked, axis=0)
        return cls(end, _white(others) if marked else end, marked)


def _white(tails: npt.NDArray[np.float64]) -> float:
    """Return the smallest noted value beyond which no more than OUTSIDE of all values lie."""
    candidates = np.unique(tails)
    at, end = 0, len(candidates) - 1
    while at < end:
        middle = (at + end) // 2
        at, end = (at, middle) if _above(tails, candidates[middle]) <= OUTSIDE else (middle + 1, end)
    return float(candidates[at])


def _above(tails: npt.NDArray[np.float64], bound: float) -> float:
    """Return at most what share of the images' values lies above a bound; all images count alike."""
    return float(_TAIL[(tails > bound).sum(axis=1).clip(max=len(_TAIL) - 1)].mean())
