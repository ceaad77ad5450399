"""Which labels a run learns from, and how much each class counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from transfer_core.data.manifest import Manifest
from transfer_core.data.units import divide
from transfer_core.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


def pick(manifest: Manifest, images: list[str], count: int, seed: int) -> list[str]:
    """Return up to `count` images of each class, drawn by the seed."""
    rng = np.random.default_rng([seed, 83])
    found: list[str] = []
    for name in manifest.classes:
        own = [image for image in images if manifest.by_image[image].label == name]
        found += [own[index] for index in rng.permutation(len(own))[:count]]
    return sorted(found)


def set_aside(manifest: Manifest, images: list[str], share: float, seed: int) -> list[str]:
    """Return about a share of labelled images, in whole groups where that leaves each class on both sides.

    Otherwise single images of each class, at least one and never all.
    """
    rows = [manifest.by_image[image] for image in images]
    rng = np.random.default_rng([seed, 89])
    parts = divide(rows, (1 - share, share, 0.0), rng)
    sides = {(row.label, parts[row.image]) for row in rows}
    if len(sides) == 2 * len({row.label for row in rows}):
        return sorted(image for image, part in parts.items() if part == "val")
    found: list[str] = []
    for label in sorted({row.label or "" for row in rows}):
        own = [row.image for row in rows if row.label == label]
        count = min(len(own) - 1, max(1, round(share * len(own))))
        found += [own[index] for index in rng.permutation(len(own))[:count]]
    return sorted(found)


def further_labels(manifest: Manifest) -> list[str]:
    """Return the names of the labels that images have beside their class."""
    return sorted({name for row in manifest.rows for name in row.extra})


def choose_auxiliary(manifest: Manifest, wanted: str) -> str:
    """Return the name of the further label that is meant; UserError lists what there is."""
    possible = further_labels(manifest)
    if wanted in possible:
        return wanted
    if not wanted and len(possible) == 1:
        return possible[0]
    if not possible:
        message = "This data set has no further label: bring a table of labels with one, or choose another strategy."
        raise UserError(message, "no-further-label")
    raise UserError(f"Say which further label is the second question (auxiliary): {', '.join(possible)}.")


def confidence_columns(manifest: Manifest) -> list[str]:
    """Return the names of the further labels that could say how likely labels are right: numbers from 0 to 1 alone."""
    possible = []
    for name in further_labels(manifest):
        values = {row.extra[name] for row in manifest.rows if row.extra.get(name)}
        if all(_is_share(each) for each in values):
            possible.append(name)
    return possible


def label_confidence(manifest: Manifest, name: str) -> dict[str, float]:
    """Return how likely each image's label is right, 1 where the further label of that name says nothing.

    UserError where there is no such further label, or where it is not a number from 0 to 1 throughout.
    """
    possible = confidence_columns(manifest)
    if name not in possible:
        known = ", ".join(possible) or "none here"
        message = f"Confidence in the labels must be a further label with numbers from 0 to 1: {known}; not {name!r}."
        raise UserError(message, "no-confidence")
    return {row.image: float(row.extra.get(name) or 1.0) for row in manifest.rows}


def soften(y: Tensor, confidence: Tensor, classes: int) -> Tensor:
    """Return soft labels [n, classes]: `confidence` [n] in 0..1 for the class y [n], the rest evenly for the others.

    A row of -1 is 0 throughout. Labels of several experts who disagree, or one's own doubt, are learnt from as they
    are (Peterson et al. 2019, "Human Uncertainty Makes Classification More Robust").
    """
    rest = (1 - confidence) / (classes - 1)
    soft = rest[:, None].repeat(1, classes).scatter(1, y.clamp(min=0)[:, None], confidence[:, None])
    return soft * (y >= 0)[:, None]


def _is_share(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def class_weights(counts: Mapping[int, int], classes: int, rule: str) -> tuple[float, ...]:
    """Return one loss weight per class: 1, or n / (classes * n of the class) where balanced."""
    if rule == "none":
        return (1.0,) * classes
    total = sum(counts[number] for number in range(classes))
    return tuple(total / (classes * counts[number]) if counts[number] else 1.0 for number in range(classes))
