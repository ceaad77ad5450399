"""One range for a set: by all its values, and not by the brightest spot in one of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer_core.data.grey_range import DARKENS, Range, draw_outline, find_range


def scenes(number: int, seed: int = 0) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    return [draw.gamma(4, 300 * (1 + n % 3), (64, 80)) for n in range(number)]


def range_of(images: list[np.ndarray]) -> Range:
    return find_range({f"{n}.tif": draw_outline(values) for n, values in enumerate(images)})


@given(st.integers(0, 1000), st.integers(1, 40), st.sampled_from(["u2", "i2", "f4"]))
def test_a_thousandth_of_the_sets_values_lies_beyond_each_end(seed: int, number: int, kind: str) -> None:
    images = [(each - 500).astype(kind) if kind != "u2" else each.astype(kind) for each in scenes(number, seed)]  # fmt: skip
    values = np.concatenate([each.ravel() for each in images]).astype(float)
    found = range_of(images)
    assert np.mean(values > found.high) <= 0.001
    assert np.mean(values < found.low) <= 0.001
    assert found.high >= np.percentile(values, 99.9, method="lower")
    assert found.high <= np.percentile(values, 99.98, method="higher") * 1.05  # as near as it is noted
    assert values.min() <= found.low <= np.percentile(values, 0.1, method="higher")


@pytest.mark.parametrize("number", [3, 8, 12, 60])
@pytest.mark.parametrize("share", [0.0005, 0.01, 0.04])
@pytest.mark.parametrize("sign", [1, -1])
def test_one_marker_does_not_darken_the_set(number: int, share: float, sign: int) -> None:
    images = [sign * each for each in scenes(number)]
    plain = range_of(images)
    images[1] = images[1].copy()
    images[1].flat[: int(share * images[1].size)] = sign * 60_000
    found = range_of(images)
    assert found.high - found.low <= DARKENS * (plain.high - plain.low)
    assert found.marked == (("1.tif",) if share * 1.0 / number > 0.001 else ())
    assert "1.tif" not in (found.brightest if sign > 0 else found.darkest,) or not found.marked


def test_a_bright_image_is_no_marker() -> None:
    images = scenes(8)
    images[3] = images[3] * 20
    found = range_of(images)
    assert found.brightest == "3.tif"
    assert not found.marked
    assert np.mean(images[3] > found.high) <= 0.01


def test_what_is_told_names_the_range_and_the_files() -> None:
    images = scenes(4)
    images[0].flat[:100] = 60_000
    found = range_of(images)
    told = dict(found.told())
    assert "marker" in told["0.tif"]
    assert f"white is {found.high:g}, set by {found.brightest} (robust range" in told[""]


def test_all_the_same_is_a_range_too() -> None:
    found = range_of([np.full((20, 20), 7, "u2")] * 3)
    assert (found.low, found.high) == (7, 7)
