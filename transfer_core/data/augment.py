"""Augmentation as K stored views of an image, so that it lives together with the activation cache.

View 0 is always the image itself. Which changes keep a label true is the user's knowledge (left and
right matter in medicine), so nothing is changed unless asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from transfer_core.data.images import Pixels
from transfer_core.errors import UserError


@dataclass(frozen=True)
class Augmentation:
    """One policy; `views` is how many stored views suit it, `most` how many differ at all."""

    name: str
    title: str
    help: str
    views: int
    most: int | None = None  # None: every view is another random draw


AUGMENTATIONS = (
    Augmentation("none", "None", "Every image as it is.", 1, 1),
    Augmentation("mirror", "Mirror left and right", "Safe where left and right mean the same.", 2, 2),
    Augmentation("flips", "Mirror both ways", "Safe where neither left and right nor up and down matter.", 4, 4),
    Augmentation("turns", "Mirrors and quarter turns", "Safe where the picture has no way up, as under a microscope.", 8, 8),
    Augmentation("light", "Small shifts and lighting", "Turns of up to 8 degrees, shifts and zoom of up to 6 %, brightness and contrast of up to 15 %; no mirrors.", 4),
)  # fmt: skip


def get_augmentation(name: str) -> Augmentation:
    """Return a policy by name; UserError lists the names."""
    for each in AUGMENTATIONS:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in AUGMENTATIONS)
    raise UserError(f"There is no augmentation {name!r}; choose one of {names}.")


def count_views(name: str, wanted: int | None = None) -> int:
    """Return how many stored views a policy gets: as many as wanted, no more than differ.

    A policy that changes nothing has one view: there are no fresh ones to draw.
    """
    policy = get_augmentation(name)
    if policy.most == 1:
        return 1
    views = policy.views if wanted is None else wanted
    return views if policy.most is None else min(views, policy.most)


def make_view(pixels: Pixels, name: str, view: int, image: str, seed: int) -> Pixels:
    """Return view number `view` of an image [3, s, s]; the same arguments give the same pixels.

    `image` (its hash) and `seed` make the random draws of a policy differ from image to image.
    """
    if view == 0 or name == "none":
        return pixels
    if name == "light":
        rng = np.random.default_rng([seed, view, int(image[:12], 16)])
        return _shift_and_light(pixels, rng)
    get_augmentation(name)
    turns, mirror, upside = _SYMMETRIES[name][view % len(_SYMMETRIES[name])]
    changed = np.rot90(pixels, turns, axes=(1, 2))
    changed = changed[:, :, ::-1] if mirror else changed
    changed = changed[:, ::-1, :] if upside else changed
    return np.ascontiguousarray(changed)


# (quarter turns, mirrored left-right, mirrored up-down) of each view
_SYMMETRIES = {
    "mirror": [(0, False, False), (0, True, False)],
    "flips": [(0, False, False), (0, True, False), (0, False, True), (0, True, True)],
    "turns": [(turns, mirror, False) for mirror in (False, True) for turns in range(4)],
}


def _shift_and_light(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    size = pixels.shape[-1]
    angle = np.deg2rad(rng.uniform(-8, 8))
    zoom = 1 / rng.uniform(0.94, 1.06)
    shift = rng.uniform(-0.06, 0.06, 2) * size
    matrix = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.full(2, size / 2)
    offset = centre - matrix @ (centre + shift)
    image = Image.fromarray(pixels.transpose(1, 2, 0))
    moved = image.transform(
        image.size,
        Image.Transform.AFFINE,
        (matrix[0, 0], matrix[0, 1], offset[0], matrix[1, 0], matrix[1, 1], offset[1]),
        Image.Resampling.BILINEAR,
        fillcolor=(128, 128, 128),
    )
    values: npt.NDArray[np.float64] = np.asarray(moved, dtype=np.float64).transpose(2, 0, 1)
    contrast, brightness = rng.uniform(0.85, 1.15), rng.uniform(-0.15, 0.15) * 255
    middle = values.mean()
    lit: npt.NDArray[np.float64] = (values - middle) * contrast + middle + brightness
    return lit.clip(0, 255).astype(np.uint8)
