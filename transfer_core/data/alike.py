"""Images that are nearly the same: copies that were scaled, packed anew or made a little brighter."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest
from transfer_core.files import read_kept, write_json

FILE = "alike.json"  # beside the manifest
NEAR = 3  # bits of 64 in which two perceptual hashes may differ for their thumbnails to be compared
ALIKE = 0.997  # correlation of two thumbnails; copies reach it, two solar cells of one kind do not
REMEMBERED = 4096  # thumbnails in memory: 64 MB
NEIGHBOURS = 30  # of many images with one hash, how many each is compared with


def get_alike(
    library: Library, manifest: Manifest, progress: Callable[[int, int], None] | None = None
) -> list[list[str]]:
    """Return the look-alikes of a data set in clusters, looked for once and kept beside it.

    A version from which images were only taken away asks nothing anew.
    """
    path = library.folder / manifest.id / FILE
    known = _read(path)
    if known is not None:
        return known
    own = manifest.by_image
    before = library.before(manifest)
    older = _read(library.folder / before.id / FILE) if before else None
    if before and older is not None and own.keys() <= before.by_image.keys():
        left = [[image for image in each if image in own] for each in older]
        clusters = [each for each in left if len(each) > 1]
    else:
        looks = [(row.image, row.look) for row in manifest.rows if row.look]
        clusters = find_alike(looks, lambda image: library.thumb_path(image).read_bytes(), progress)
    write_json(path, clusters)
    return clusters


def _read(path: Path) -> list[list[str]] | None:
    """Return the clusters that are kept; None where none are, or the file is damaged."""
    found: list[Any] = read_kept(path, [None])
    whole = all(isinstance(each, list) and all(isinstance(image, str) for image in each) for each in found)
    return found if whole else None


def find_alike(
    looks: Sequence[tuple[str, str]],
    thumbnail: Callable[[str], bytes],
    progress: Callable[[int, int], None] | None = None,
) -> list[list[str]]:
    """Return images that are nearly the same, directly or through others, in clusters of two and more.

    `looks` are images with their perceptual hashes, 16 hex digits; `thumbnail` gives an image's small JPEG. A hash
    alone takes regular things, such as solar cells, for each other: the thumbnails decide.
    """

    @lru_cache(maxsize=REMEMBERED)
    def seen(image: str) -> npt.NDArray[np.float32]:
        return _normalise(thumbnail(image))

    def is_same(one: str, other: str) -> bool:
        return float(np.mean(seen(one) * seen(other))) >= ALIKE

    return cluster(looks, is_same, progress)


def cluster(
    looks: Sequence[tuple[str, str]],
    is_same: Callable[[str, str], bool],
    progress: Callable[[int, int], None] | None = None,
) -> list[list[str]]:
    """Return clusters of two and more images; `is_same` decides where two hashes lie within NEAR bits."""
    parent = {image: image for image, _ in looks}

    def root(image: str) -> str:
        while parent[image] != image:
            parent[image] = parent[parent[image]]
            image = parent[image]
        return image

    total = sum(1 for _ in _candidates(looks)) if progress else 0  # they may be too many to keep
    for number, (one, other) in enumerate(_candidates(looks), start=1):
        if progress and number % 1000 == 0:
            progress(number, total)
        if root(one) != root(other) and is_same(one, other):
            parent[root(other)] = root(one)
    clusters: dict[str, list[str]] = defaultdict(list)
    for image, _ in looks:
        clusters[root(image)].append(image)
    return [each for each in clusters.values() if len(each) > 1]


def _normalise(thumbnail: bytes) -> npt.NDArray[np.float32]:
    """Return a thumbnail as 64 x 64 grey values of mean 0 and spread 1: neither brightness nor contrast counts."""
    with Image.open(io.BytesIO(thumbnail), formats=("JPEG",)) as opened:
        values = np.asarray(opened.convert("L").resize((64, 64), Image.Resampling.BOX), dtype=np.float32)
    normalised: npt.NDArray[np.float32] = (values - values.mean()) / max(float(values.std()), 1e-9)
    return normalised


def _candidates(looks: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield pairs of images whose hashes lie within NEAR bits."""
    together: dict[str, list[str]] = defaultdict(list)
    for image, look in looks:
        together[look].append(image)
    for same in together.values():
        for place, image in enumerate(same):
            yield from ((before, image) for before in same[max(0, place - NEIGHBOURS) : place])
    different = list(together)
    for one, other in _near_pairs(np.array([int(look, 16) for look in different], dtype=np.uint64)):
        for first in together[different[one]][:NEIGHBOURS]:
            yield from ((first, second) for second in together[different[other]][:NEIGHBOURS])


def _near_pairs(bits: npt.NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Yield which words differ in at most NEAR bits.

    Two 64-bit words within 3 bits agree in at least one of their four 16-bit quarters: only those that do are compared.
    """
    for quarter in range(4):
        words = (bits >> np.uint64(16 * quarter)) & np.uint64(0xFFFF)
        order = np.argsort(words, kind="stable")
        borders = np.flatnonzero(np.diff(words[order])) + 1
        for same in np.split(order, borders):
            for place, one in enumerate(same[:-1]):
                others = same[place + 1 :]
                for other in others[np.bitwise_count(bits[others] ^ bits[one]) <= NEAR]:
                    yield int(one), int(other)
