"""How parts of a data set look on average: a mean picture, and how its grey values are spread."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from transfer_core.data.manifest import Manifest

SAMPLE = 200  # images of each part; the mean picture of more looks the same
EDGE = 128  # pixels
BINS = 64


@dataclass(frozen=True)
class Look:
    """Of `images` images: the mean picture as JPEG, and the share of grey values in each of BINS equal bins."""

    name: str
    images: int
    mean: bytes
    shares: tuple[float, ...]


def average_looks(manifest: Manifest, thumbnail: Callable[[str], bytes]) -> list[Look]:
    """Return the look of each domain; of each class where no image names a domain."""
    by_part: dict[str, list[str]] = {}
    for row in manifest.rows:
        name = row.domain if manifest.domains else row.label
        if name is not None:
            by_part.setdefault(name, []).append(row.image)
    # Evenly over the images in the order of their hashes, so that it is the same sample every time.
    samples = {
        name: sorted(images)[:: max(1, len(images) // SAMPLE)][:SAMPLE] for name, images in by_part.items()
    }
    return [_average(name, map(thumbnail, samples[name])) for name in sorted(samples)]


def _average(name: str, thumbnails: Iterable[bytes]) -> Look:
    total = np.zeros((EDGE, EDGE, 3))
    counts = np.zeros(BINS)
    n = 0
    for data in thumbnails:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as opened:
            small = opened.convert("RGB").resize((EDGE, EDGE), Image.Resampling.BOX)
        total += np.asarray(small, dtype=np.float64)
        counts += np.bincount(np.asarray(small.convert("L")).ravel() // (256 // BINS), minlength=BINS)
        n += 1
    out = io.BytesIO()
    Image.fromarray(np.rint(total / max(n, 1)).astype(np.uint8)).save(out, "JPEG", quality=90)
    return Look(name, n, out.getvalue(), tuple(counts / max(counts.sum(), 1)))
