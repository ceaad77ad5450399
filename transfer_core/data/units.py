"""Units: images that have to stay on one side of a split, and how units are dealt out to its parts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from transfer_core.data.manifest import PARTS, Row


def find_units(
    rows: Sequence[Row], alike: Sequence[Sequence[str]] = (), *, groups: bool = True
) -> dict[str, str]:
    """Return the unit of each image: those with the same pixels, in one cluster of look-alikes or in one group share it.

    All at once, because an image that stands in two of them would otherwise be on two sides.
    """
    above: dict[str, str] = {}

    def find(key: str) -> str:
        while above.setdefault(key, key) != key:
            above[key] = above[above[key]]
            key = above[key]
        return key

    def join(one: str, other: str) -> None:
        first, second = sorted((find(one), find(other)))
        above[second] = first

    pixels = {row.image: f"pixels {row.pixels}" for row in rows}
    for row in rows:
        if row.group and groups:
            join(pixels[row.image], f"group {row.group}")
    for cluster in alike:
        own = [pixels[image] for image in cluster if image in pixels]
        for other in own[1:]:
            join(own[0], other)
    return {image: find(key) for image, key in pixels.items()}


def divide(rows: Sequence[Row], shares: Sequence[float], rng: np.random.Generator) -> dict[str, str]:
    """Assign labelled rows to train, val and test by shares, whole units together."""
    return deal(rows, find_units(rows), shares, rng)


def deal(
    rows: Sequence[Row], units: Mapping[str, str], shares: Sequence[float], rng: np.random.Generator
) -> dict[str, str]:
    """Assign whole units, largest first, each to the part that is then closest to its share.

    Per class the wanted number of images is share * total; the part chosen is the one whose
    shortfall the unit reduces most. With one image a unit this is stratification to within an
    image; with large groups it is the usual greedy of stratified group splitting.
    """
    place = {name: index for index, name in enumerate(sorted({row.label or "" for row in rows}))}
    members: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        members[units[row.image]].append(row)
    names = sorted(members)
    order = rng.permutation(len(names))
    sizes = np.array([len(members[name]) for name in names], dtype=float)
    order = order[np.argsort(-sizes[order], kind="stable")]
    total = np.bincount([place[row.label or ""] for row in rows], minlength=len(place)).astype(float)
    missing = np.outer(shares, total)  # [parts, classes]; images each part still wants
    assignment: dict[str, str] = {}
    for index in order:
        unit = members[names[index]]
        held = Counter(place[row.label or ""] for row in unit)
        own, count = list(held), np.array(list(held.values()), dtype=float)  # the classes it has images of
        wanted = missing[:, own]
        gain = (wanted**2 - (wanted - count) ** 2) / np.maximum(total[own], 1)
        part = int(np.argmax(gain.sum(1)))
        missing[part, own] -= count
        assignment |= {row.image: PARTS[part] for row in unit}
    return assignment
