"""The receipt of a split: proof that nothing stands on two sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from transfer_core.data.manifest import PARTS, TARGET_TRAIN, Manifest

NEAR = 2  # bits of 64 in which two perceptual hashes may differ and still be "nearly the same"


@dataclass(frozen=True)
class Receipt:
    """What an auditor asks first: is anything on two sides?"""

    groups_shared: int
    pixels_shared: int
    near_duplicates: int  # pairs of images, one on each of two sides, that look nearly the same
    counts: Mapping[str, Mapping[str, int]]  # part -> class -> images


def make_receipt(manifest: Manifest, assignment: Mapping[str, str]) -> Receipt:
    """Count what stands on two sides: groups, identical pixels, near-duplicates."""
    rows = [row for row in manifest.rows if row.image in assignment]
    parts = [assignment[row.image] for row in rows]
    # What training sees without its labels is on training's side.
    sides = ["train" if part == TARGET_TRAIN else part for part in parts]
    counts: dict[str, dict[str, int]] = {part: dict.fromkeys(manifest.classes, 0) for part in PARTS}
    if TARGET_TRAIN in parts:
        counts[TARGET_TRAIN] = dict.fromkeys(manifest.classes, 0)
    for row, part in zip(rows, parts, strict=True):
        if row.label is not None:
            counts[part][row.label] += 1
    return Receipt(
        groups_shared=_shared(
            ((row.group, part) for row, part in zip(rows, sides, strict=True) if row.group)
        ),
        pixels_shared=_shared((row.pixels, part) for row, part in zip(rows, sides, strict=True)),
        near_duplicates=_near_pairs([row.look for row in rows], sides),
        counts=counts,
    )


def _shared(pairs: Iterable[tuple[str | None, str]]) -> int:
    sides: dict[str | None, set[str]] = defaultdict(set)
    for key, part in pairs:
        sides[key].add(part)
    return sum(len(each) > 1 for each in sides.values())


def _near_pairs(looks: Sequence[str], parts: Sequence[str]) -> int:
    if not all(looks):
        return 0
    bits = np.array([int(look, 16) for look in looks], dtype=np.uint64)
    side = np.array([PARTS.index(part) for part in parts])
    pairs = 0
    for index in range(len(bits) - 1):
        near = np.bitwise_count(bits[index + 1 :] ^ bits[index]) <= NEAR
        pairs += int(np.count_nonzero(near & (side[index + 1 :] != side[index])))
    return pairs
