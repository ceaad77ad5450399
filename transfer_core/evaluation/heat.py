"""A heat map laid over the picture it is of: where the model looked on the picture, colours, and a line at half the most."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Heat = npt.NDArray[np.float32]  # [h, w] in 0..1

# Viridis (van der Walt and Smith 2015, CC0): lightness rises all along, for every kind of colour vision and in grey.
SCALE = (
    "#440154",
    "#482878",
    "#3e4989",
    "#31688e",
    "#26828e",
    "#1f9e89",
    "#35b779",
    "#6ece58",
    "#b5de2b",
    "#fde725",
)
EDGE = 560  # pixels of the longer side of what is shown
HALF = 0.5  # of the most, where the line is drawn
CROP = 0.0625  # of each side, which the geometry "centre" leaves out


def seen_box(width: int, height: int, geometry: str) -> tuple[float, float, float, float]:
    """Return the square the model saw, as (left, top, right, bottom) in pixels of the image; with bars it goes beyond."""
    if geometry == "whole":
        return 0.0, 0.0, float(width), float(height)
    side = float(max(width, height)) if geometry == "pad" else (1 - 2 * CROP) * min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def spread(heat: Heat, width: int, height: int, box: Sequence[float]) -> Heat:
    """Return a map [h, w] drawn out bilinearly over a picture [height, width]; 0 where the model saw nothing.

    `box` as `seen_box` returns it, in pixels of this picture.
    """
    left, top, right, bottom = box
    across = _weights(heat.shape[1], width, left, right)
    down = _weights(heat.shape[0], height, top, bottom)
    return np.asarray(down @ heat @ across.T, np.float32)


def _weights(cells: int, pixels: int, start: float, end: float) -> npt.NDArray[np.float64]:
    """Return [pixels, cells]: how much of each cell is in each pixel's middle; cells lie evenly from start to end."""
    middles = np.arange(pixels) + 0.5
    places = np.clip((middles - start) / (end - start) * cells - 0.5, 0, cells - 1)
    lower = np.minimum(places.astype(int), max(cells - 2, 0))
    share = places - lower
    weights = np.zeros((pixels, cells))
    weights[np.arange(pixels), lower] = 1 - share
    weights[np.arange(pixels), np.minimum(lower + 1, cells - 1)] += share
    weights[(middles < start) | (middles > end)] = 0
    return weights


def draw_heat(
    picture: Image.Image, heat: Heat, geometry: str, opacity: float, edge: int = EDGE
) -> Image.Image:
    """Return a picture with its map over it: clear where there is no influence, yellow and opaque where there is most.

    A line, black and white so that it shows on anything, goes round all from half the most on.
    """
    scale = edge / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    shown = np.asarray(picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC), np.float32)
    if opacity <= 0 or not heat.any():
        return Image.fromarray(shown.astype(np.uint8))
    warm = spread(heat, width, height, seen_box(width, height, geometry))
    alpha = (opacity * warm**0.8)[..., None]
    mixed = (1 - alpha) * shown + alpha * colours(warm)
    for reach, tone in ((2, 0.0), (1, 255.0)):
        mixed[_rim(warm >= HALF, reach)] = tone
    return Image.fromarray(mixed.round().astype(np.uint8))


def _rim(inside: npt.NDArray[np.bool_], reach: int) -> npt.NDArray[np.bool_]:
    """Return the pixels of an area [h, w] that have one outside it within `reach`, up, down, left or right."""
    core = inside.copy()
    for axis in (0, 1):
        for step in range(-reach, reach + 1):
            core &= _moved(inside, step, axis)
    return inside & ~core


def _moved(mask: npt.NDArray[np.bool_], step: int, axis: int) -> npt.NDArray[np.bool_]:
    padded = np.pad(
        mask, [(abs(step), abs(step)) if each == axis else (0, 0) for each in (0, 1)], mode="edge"
    )
    return np.take(padded, np.arange(mask.shape[axis]) + abs(step) + step, axis=axis)


def colours(heat: Heat) -> npt.NDArray[np.float32]:
    """Return the colours [..., 3], 0 to 255, of values in 0..1, in 256 steps."""
    stops = np.array([[int(stop[at : at + 2], 16) for at in (1, 3, 5)] for stop in SCALE], np.float64)
    places, steps = np.linspace(0, 1, len(stops)), np.linspace(0, 1, 256)
    table = np.stack([np.interp(steps, places, stops[:, channel]) for channel in range(3)], axis=-1)
    return np.asarray(table[np.rint(heat * 255).astype(np.uint8)], np.float32)


def to_png(picture: Image.Image) -> bytes:
    """Return a picture as a PNG file."""
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=1)
    return out.getvalue()


def read_heat(rows: Sequence[Sequence[float]]) -> Heat:
    """Return the map that the helper told as plain numbers."""
    return np.asarray(rows, np.float32)


def tell_heat(heat: npt.NDArray[Any]) -> list[list[float]]:
    """Return a map as plain numbers, to four digits."""
    return [[round(float(each), 4) for each in row] for row in heat]
