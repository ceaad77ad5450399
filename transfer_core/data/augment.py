"""Augmentation as K stored views of an image, so that it lives together with the activation cache.

View 0 is always the image itself. Which changes keep a label true is the user's knowledge (left and
right matter in medicine), so nothing is changed unless asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from transfer_core.data.images import Pixels
from transfer_core.data.views import blank_square, mix, move_and_light, paste, rand_augment, roughen
from transfer_core.errors import UserError


@dataclass(frozen=True)
class Augmentation:
    """One policy; `views` is how many stored views suit it, `most` how many differ at all."""

    name: str
    title: str
    help: str
    views: int
    most: int | None = None  # None: every view is another random draw
    mixes: bool = False  # two images, and their labels
    version: int = 1  # of what it does: views that were stored by another one are not read

    @property
    def is_symmetry(self) -> bool:
        """Whether its views are the same picture seen otherwise, so that none is plainer than another."""
        return self.name in _SYMMETRIES


AUGMENTATIONS = (
    Augmentation("none", "None", "Every image as it is.", 1, 1),
    Augmentation("mirror", "Mirror left and right", "Safe where left and right mean the same.", 2, 2),
    Augmentation("flips", "Mirror both ways", "Safe where neither left and right nor up and down matter.", 4, 4),
    Augmentation("turns", "Mirrors and quarter turns", "Safe where the picture has no way up, as under a microscope.", 8, 8),
    Augmentation("light", "Small shifts and lighting", "Turns of up to 8 degrees, shifts and zoom of up to 6 %, brightness and contrast of up to 15 %; no mirrors.", 4),
    Augmentation("safe", "Another camera", "For medicine and inspection: tiny shifts, a little light, blur and noise. No mirrors, nothing cut off.", 4, version=2),
    Augmentation("strong", "Strong", "Mirrors, turns of up to 20 degrees, zoom, light, and a blanked square. Check the preview: a small finding may vanish.", 8),
    Augmentation("randaugment", "RandAugment", "Two random changes of a fixed list, colours among them. Made for photographs.", 8),
    Augmentation("mixup", "Mixup", "Two training images are blended, and so are their labels. Helps with doubtful labels.", 6, mixes=True),
    Augmentation("cutmix", "CutMix", "A patch of another training image is pasted in, and its label with it.", 6, mixes=True),
)  # fmt: skip


def get_augmentation(name: str) -> Augmentation:
    """Return a policy by name; UserError lists the names."""
    for each in AUGMENTATIONS:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in AUGMENTATIONS)
    raise UserError(f"There is no augmentation {name!r}; choose one of {names}.")


def list_symmetries(name: str) -> list[tuple[int, bool, bool]]:
    """Return (quarter turns, mirrored left and right, mirrored up and down) of each view, the image itself first.

    Only the image itself for a policy that does more than mirror and turn.
    """
    return list(_SYMMETRIES.get(name, [(0, False, False)]))


def count_views(name: str, wanted: int | None = None) -> int:
    """Return how many stored views a policy gets: as many as wanted, no more than differ.

    A policy that changes nothing has one view: there are no fresh ones to draw.
    """
    policy = get_augmentation(name)
    if policy.most == 1:
        return 1
    views = policy.views if wanted is None else wanted
    return views if policy.most is None else min(views, policy.most)


def make_view(
    pixels: Pixels, name: str, view: int, image: str, seed: int, partner: Pixels | None = None
) -> Pixels:
    """Return view number `view` of an image [3, s, s]; the same arguments give the same pixels.

    `image` (its hash) and `seed` make the random draws of a policy differ from image to image.
    `partner`: the other image where a policy mixes two; without one nothing is mixed.
    """
    if view == 0 or name == "none":
        return pixels
    if name in _SYMMETRIES:
        return _turn(pixels, *_SYMMETRIES[name][view % len(_SYMMETRIES[name])])
    if get_augmentation(name).mixes:
        return pixels if partner is None else _mixed(pixels, partner, name, view, image, seed)
    rng = np.random.default_rng([seed, view, int(image[:12], 16)])
    if name == "randaugment":
        return rand_augment(pixels, rng)
    if name == "light":
        return move_and_light(pixels, rng, angle=8, zoom=(0.94, 1.06), shift=0.06, light=0.15)
    if name == "safe":
        moved = move_and_light(pixels, rng, angle=3, zoom=(0.95, 1.0), shift=0.02, light=0.10, whole=True)
        return roughen(moved, rng)
    turned = _turn(pixels, 0, bool(rng.integers(2)), bool(rng.integers(2)))
    moved = move_and_light(turned, rng, angle=20, zoom=(0.8, 1.25), shift=0.10, light=0.30)
    return blank_square(roughen(moved, rng), rng)


def draw_mixture(
    name: str, view: int, image: str, seed: int, partners: Sequence[str]
) -> tuple[str, float] | None:
    """Return (the image that a view is mixed with, how much of the view is the first image's), None if unmixed.

    `partners`: the images that may be mixed with it, of its own part: a mixture of training images has two labels, and
    both must be known.
    """
    if view == 0 or not get_augmentation(name).mixes:
        return None
    rng = np.random.default_rng([seed, view, int(image[:12], 16), 85])
    partner = partners[int(rng.integers(len(partners)))]
    return partner, _share(name, view, image, seed)


def _share(name: str, view: int, image: str, seed: int) -> float:
    """Return the first image's share of a mixture, at least a half for mixup (the other half is another view)."""
    rng = np.random.default_rng([seed, view, int(image[:12], 16), 86])
    if name == "mixup":
        share = float(rng.beta(0.4, 0.4))
        return max(share, 1 - share)
    top, bottom, left, right = _box(view, image, seed)
    return 1 - (bottom - top) * (right - left)


def _box(view: int, image: str, seed: int) -> tuple[float, float, float, float]:
    """Return CutMix's box (top, bottom, left, right) as shares of the size, at most half of the area."""
    rng = np.random.default_rng([seed, view, int(image[:12], 16), 87])
    side = float(np.sqrt(rng.uniform(0.02, 0.5)))
    top, left = rng.uniform(0, 1 - side, 2)
    return top, top + side, left, left + side


def _mixed(pixels: Pixels, partner: Pixels, name: str, view: int, image: str, seed: int) -> Pixels:
    if name == "mixup":
        return mix(pixels, partner, _share(name, view, image, seed))
    size = pixels.shape[-1]
    top, bottom, left, right = (round(each * size) for each in _box(view, image, seed))
    return paste(pixels, partner, (top, bottom, left, right))


def _turn(pixels: Pixels, turns: int, mirror: bool, upside: bool) -> Pixels:
    changed = np.rot90(pixels, turns, axes=(1, 2))
    changed = changed[:, :, ::-1] if mirror else changed
    changed = changed[:, ::-1, :] if upside else changed
    return np.ascontiguousarray(changed)


def turn_back(plane: npt.NDArray[Any], name: str, view: int) -> npt.NDArray[Any]:
    """Return what was found on a view [s, s] of a policy that only mirrors and turns, as it lies on the image."""
    turns, mirror, upside = _SYMMETRIES[name][view % len(_SYMMETRIES[name])]
    plane = plane[::-1] if upside else plane
    plane = plane[:, ::-1] if mirror else plane
    return np.rot90(plane, -turns)


# (quarter turns, mirrored left-right, mirrored up-down) of each view
_SYMMETRIES = {
    "mirror": [(0, False, False), (0, True, False)],
    "flips": [(0, False, False), (0, True, False), (0, False, True), (0, True, True)],
    "turns": [(turns, mirror, False) for mirror in (False, True) for turns in range(4)],
}
