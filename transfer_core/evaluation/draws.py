"""Whole units (patients, parts, or single images) drawn again with replacement (bootstrap, Efron 1979)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RESAMPLES = 2_000
CELLS = 4_000_000  # of a table of draws that is held at once


def draw_sums(
    own: npt.NDArray[np.float64], rng: np.random.Generator, resamples: int = RESAMPLES
) -> npt.NDArray[np.float64]:
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
