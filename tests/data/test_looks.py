"""Mean pictures and grey values of the parts of a data set."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
import pytest
from pictures import encode
from PIL import Image

from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.library import Library
from transfer_core.data.looks import BINS, average_looks


def grey(value: int, corner: int) -> Image.Image:
    values = np.full((64, 64), value, np.uint8)
    values[0, :8] = corner  # no two alike
    return Image.fromarray(values)


@pytest.mark.parametrize("domains", [True, False])
def test_the_mean_and_the_spread_are_those_of_the_images(library: Library, domains: bool) -> None:
    values = {"east": [40, 60, 80, 100], "west": [180, 200, 220, 240]}
    candidates = [
        Candidate(f"{name}/{value}.png", partial(bytes, encode(grey(value, number))), name if not domains else "ab"[number % 2],
                  name if domains else None)
        for name, some in values.items() for number, value in enumerate(some)
    ]  # fmt: skip
    manifest, _ = ingest(candidates, "set", library)
    looks = average_looks(manifest, lambda image: library.thumb_path(image).read_bytes())
    assert [each.name for each in looks] == ["east", "west"]
    for look in looks:
        with Image.open(io.BytesIO(look.mean)) as mean:
            assert np.asarray(mean)[64, 64, 0] == pytest.approx(np.mean(values[look.name]), abs=2)
        assert sum(look.shares) == pytest.approx(1)
        likely = np.flatnonzero(np.array(look.shares) > 0.1) * (256 // BINS)
        assert np.abs(likely - np.array(values[look.name])).max() <= 256 // BINS
