"""Maps drawn over pictures: in the right place for every geometry, and readable without colour."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from transfer_core.data.augment import make_view, turn_back
from transfer_core.data.images import GEOMETRIES, to_pixels
from transfer_core.evaluation.heat import SCALE, colours, draw_heat, seen_box, spread


def test_spread_is_bilinear_interpolation_as_torch_does_it() -> None:
    heat = np.random.default_rng(0).random((7, 5)).astype(np.float32)
    theirs = torch.nn.functional.interpolate(torch.from_numpy(heat)[None, None], (90, 120), mode="bilinear")
    np.testing.assert_allclose(spread(heat, 120, 90, (0, 0, 120, 90)), theirs[0, 0].numpy(), atol=1e-5)


@pytest.mark.parametrize("geometry", list(GEOMETRIES))
@pytest.mark.parametrize("size", [(120, 80), (80, 120), (100, 100)])
def test_heat_lies_where_the_model_saw_it(geometry: str, size: tuple[int, int]) -> None:
    """A white spot, found as the brightest cell of what the model sees, comes back to the spot on the image."""
    width, height = size
    for across, down in ((0, 0), (-18, 12), (15, -20)):
        x, y = width // 2 + across, height // 2 + down
        picture = Image.new("RGB", size)
        picture.paste((255, 255, 255), (x - 6, y - 6, x + 6, y + 6))
        seen = to_pixels(picture, 64, geometry)[0].astype(np.float32)
        seen[seen < 150] = 0  # the grey bars of "pad"
        back = spread(seen / 255, width, height, seen_box(width, height, geometry))
        middle = [
            np.average(np.arange(side) + 0.5, weights=back.sum(axis))
            for side, axis in ((width, 0), (height, 1))
        ]
        np.testing.assert_allclose(middle, (x, y), atol=1.0)


def test_what_the_crop_left_out_has_no_heat() -> None:
    back = spread(np.ones((7, 7), np.float32), 200, 100, seen_box(200, 100, "centre"))
    assert back[50, 100] == 1
    assert not back[:, :50].any()
    assert not back[:5].any()


def test_no_heat_leaves_the_picture_as_it_is() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (56, 56, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    for heat, opacity in ((np.zeros((7, 7), np.float32), 0.8), (np.ones((7, 7), np.float32), 0.0)):
        np.testing.assert_array_equal(np.asarray(draw_heat(picture, heat, "whole", opacity, 56)), noise)
    half = np.zeros((7, 7), np.float32)
    half[:, 0] = 1
    shown = np.asarray(draw_heat(picture, half, "whole", 0.8, 56))
    np.testing.assert_array_equal(shown[:, 20:], noise[:, 20:])
    assert (shown[:, :8] != noise[:, :8]).any()


def test_the_scale_rises_in_lightness_for_everybody() -> None:
    """Relative luminance (WCAG) rises from step to step, so that it reads in grey and by every colour vision."""
    shares = colours(np.linspace(0, 1, 50, dtype=np.float32)) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    assert (np.diff(linear @ [0.2126, 0.7152, 0.0722]) > 0).all()
    assert len(SCALE) == 10


def test_a_line_tells_half_the_most_without_colour() -> None:
    heat = np.zeros((7, 7), np.float32)
    heat[3, 3] = 1
    grey = Image.new("RGB", (70, 70), (128, 128, 128))
    shown = np.asarray(draw_heat(grey, heat, "whole", 0.6, 70)).astype(int)
    warm = spread(heat, 70, 70, (0, 0, 70, 70)) >= 0.5
    black, white = ((shown == tone).all(2) for tone in (0, 255))
    assert black.any()
    assert white.any()
    assert not ((black | white) & ~warm).any()


@pytest.mark.parametrize(("name", "views"), [("mirror", 2), ("flips", 4), ("turns", 8)])
def test_turning_back_undoes_every_view(name: str, views: int) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (3, 6, 6), dtype=np.uint8)
    for view in range(views):
        np.testing.assert_array_equal(
            turn_back(make_view(pixels, name, view, "", 0)[0], name, view), pixels[0]
        )
