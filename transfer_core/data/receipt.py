"""The receipt of a split: proof that nothing stands on two sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from transfer_core.data.manifest import PARTS, TARGET_TRAIN, Manifest


@dataclass(frozen=True)
class Receipt:
    """What an auditor asks first: is anything on two sides?"""

    groups_shared: int
    pixels_shared: int
    near_duplicates: int  # clusters of images that look nearly the same and stand on more than one side
    counts: Mapping[str, Mapping[str, int]]  # part -> class -> images


def make_receipt(
    manifest: Manifest, assignment: Mapping[str, str], alike: Sequence[Sequence[str]] = ()
) -> Receipt:
    """Count what stands on two sides: groups, identical pixels, clusters of look-alikes."""
    rows = [row for row in manifest.rows if row.image in assignment]
    parts = [assignment[row.image] for row in rows]
    # What training sees without its labels is on training's side.
    sides = ["train" if part == TARGET_TRAIN else part for part in parts]
    side_of = {row.image: side for row, side in zip(rows, sides, strict=True)}
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
        near_duplicates=_shared(
            (str(number), side_of[image])
            for number, each in enumerate(alike)
            for image in each
            if image in side_of
        ),
        counts=counts,
    )


def _shared(pairs: Iterable[tuple[str | None, str]]) -> int:
    sides: dict[str | None, set[str]] = defaultdict(set)
    for key, part in pairs:
        sides[key].add(part)
    return sum(len(each) > 1 for each in sides.values())
