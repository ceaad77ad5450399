"""What the augmentation policies do to the pixels of an image.

RandAugment: Cubuk et al. 2020; mixup: Zhang et al. 2018; CutMix: Yun et al. 2019; the blanked square of
`strong`: DeVries and Taylor 2017, "Cutout".
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from transfer_core.data.images import Pixels

GREY = (128, 128, 128)
Rng = np.random.Generator


def move_and_light(
    pixels: Pixels,
    rng: Rng,
    *,
    angle: float,
    zoom: tuple[float, float],
    shift: float,
    light: float,
    whole: bool = False,
) -> Pixels:
    """Turn by up to `angle` degrees, zoom by a factor in `zoom`, shift by up to `shift` of the size, light.

    `light`: by how much contrast, and brightness as a share of the range, change at most. `whole`: the picture is made
    small enough to stay inside, and its border goes on around it.
    """
    size = pixels.shape[-1]
    turn, factor = np.deg2rad(rng.uniform(-angle, angle)), 1 / rng.uniform(*zoom)
    offset = rng.uniform(-shift, shift, 2) * size
    margin = 0
    if whole:
        factor = max(factor, (np.cos(turn) + abs(np.sin(turn))) / (1 - 2 * np.abs(offset).max() / size))
        margin = size // 4  # far more than shows
        pixels = np.pad(pixels, ((0, 0), (margin, margin), (margin, margin)), "edge")
    matrix = factor * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = np.full(2, size / 2)
    start = centre - matrix @ (centre + offset) + margin
    coefficients = (matrix[0, 0], matrix[0, 1], start[0], matrix[1, 0], matrix[1, 1], start[1])
    moved = _to_image(pixels).transform(
        (size, size), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR, fillcolor=GREY
    )
    values: npt.NDArray[np.float64] = _to_pixels(moved).astype(np.float64)
    contrast, brightness = rng.uniform(1 - light, 1 + light), rng.uniform(-light, light) * 255
    middle = values.mean()
    lit: npt.NDArray[np.float64] = (values - middle) * contrast + middle + brightness
    return lit.clip(0, 255).astype(np.uint8)


def roughen(pixels: Pixels, rng: Rng) -> Pixels:
    """Change what another camera would: gamma by up to 15 %, a little blur, a little noise."""
    values = 255 * (pixels / 255.0) ** rng.uniform(0.85, 1.15)
    image = _to_image(values.astype(np.uint8)).filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.8)))
    noisy = _to_pixels(image) + rng.normal(0, rng.uniform(0, 4), pixels.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def blank_square(pixels: Pixels, rng: Rng, share: float = 0.25) -> Pixels:
    """Blank a square of up to `share` of each side."""
    size = pixels.shape[-1]
    side = int(size * rng.uniform(0.1, share))
    top, left = rng.integers(0, size - side, 2)
    out = pixels.copy()
    out[:, top : top + side, left : left + side] = 128
    return out


def rand_augment(pixels: Pixels, rng: Rng, count: int = 2, strength: float = 0.33) -> Pixels:
    """Apply `count` of the paper's operations at `strength` 0..1 of their range (magnitude 10 of 30 is 0.33)."""
    image = _to_image(pixels)
    for index in rng.integers(0, 14, count):
        sign = float(rng.choice([-1.0, 1.0]))
        image = _operate(image, int(index), strength, sign)
    return _to_pixels(image)


def _operate(image: Image.Image, index: int, strength: float, sign: float) -> Image.Image:
    """Apply one of the fourteen operations; `sign` says which way."""
    size = image.width
    lean, reach = sign * 0.3 * strength, sign * size * 0.45 * strength
    gain = 1 + sign * 0.9 * strength
    moves = [(1, lean, 0, 0, 1, 0), (1, 0, 0, lean, 1, 0), (1, 0, reach, 0, 1, 0), (1, 0, 0, 0, 1, reach)]
    if index < 4:
        bilinear = Image.Resampling.BILINEAR
        return image.transform(image.size, Image.Transform.AFFINE, moves[index], bilinear, fillcolor=GREY)
    if index == 4:
        return image.rotate(sign * 30 * strength, Image.Resampling.BILINEAR, fillcolor=GREY)
    if index < 9:
        enhance = (ImageEnhance.Brightness, ImageEnhance.Color, ImageEnhance.Contrast, ImageEnhance.Sharpness)
        return enhance[index - 5](image).enhance(gain)
    if index == 9:
        return ImageOps.posterize(image, 8 - round(4 * strength))
    if index == 10:
        return ImageOps.solarize(image, round(256 * (1 - strength)))
    return ImageOps.autocontrast(image) if index == 11 else ImageOps.equalize(image) if index == 12 else image


def mix(first: Pixels, second: Pixels, share: float) -> Pixels:
    """Return share * first + (1 - share) * second (mixup)."""
    return np.rint(share * first.astype(np.float64) + (1 - share) * second).astype(np.uint8)


def paste(first: Pixels, second: Pixels, box: tuple[int, int, int, int]) -> Pixels:
    """Return first with the box (top, bottom, left, right) of second in it (CutMix)."""
    top, bottom, left, right = box
    out = first.copy()
    out[:, top:bottom, left:right] = second[:, top:bottom, left:right]
    return out


def _to_image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def _to_pixels(image: Image.Image) -> Pixels:
    return np.asarray(image, dtype=np.uint8).transpose(2, 0, 1)
