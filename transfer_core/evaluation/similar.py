"""Which images a model takes for alike: neighbours in the features it decides by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

AT_ONCE = 4096  # rows read from the disk together
Features = npt.NDArray[np.floating[Any]]  # [n, d]


def cosine_to(features: Features, query: Features, places: Sequence[int]) -> npt.NDArray[np.float32]:
    """Return the cosine similarity [len(places)] of some rows of features [n, d] to a query [d]; 0 to a row of zeros."""
    wanted = _unit(np.asarray(query, np.float32)[None])[0]
    chunks = [places[at : at + AT_ONCE] for at in range(0, len(places), AT_ONCE)]
    found = [_unit(np.asarray(features[np.asarray(chunk)], np.float32)) @ wanted for chunk in chunks]
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def nearest(features: Features, query: Features, places: Sequence[int], k: int) -> list[tuple[int, float]]:
    """Return (place, cosine similarity) of the `k` rows most like a query, the most alike first; ties by place."""
    alike = cosine_to(features, query, places)
    order = np.lexsort((np.asarray(places), -alike))[:k]
    return [(places[number], float(alike[number])) for number in order]


def most_typical(features: Features, places: Sequence[int], k: int) -> list[int]:
    """Return the `k` rows of `places` that are most like their mean direction, the most typical first."""
    if not places:
        return []
    own = _unit(np.asarray(features[np.asarray(places)], np.float32))
    return [place for place, _ in nearest(features, own.mean(0), places, k)]


def _unit(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)
