"""Images that a run takes for alike, with what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from transfer_core.data.manifest import TARGET_TRAIN
from transfer_core.evaluation.report import Report
from transfer_core.evaluation.similar import Features, nearest

SPARE = 20  # further neighbours that are looked at, because some may be the same picture


@dataclass(frozen=True)
class Likeness:
    """A training image like another one: how like (cosine of their features), its label, and where it is from.

    `label` is None where training did not read one: the image is of a target domain whose labels are hidden.
    """

    image: str
    similarity: float
    label: str | None
    domain: str | None
    file: str

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def similar_training_images(
    report: Report, features: Features, query: Features, *, leave_out: str, k: int
) -> list[Likeness]:
    """Return the `k` images of the training part that are most like features [d], the most alike first.

    `leave_out`: the hash of the pixels in question; the same picture under another name would say nothing. Of several
    images with the same pixels one is shown.
    """
    places = [place for place, part in enumerate(report.parts) if part in ("train", TARGET_TRAIN)]
    rows = report.manifest.by_image
    found: dict[str, Likeness] = {}
    for place, similarity in nearest(features, query, places, k + SPARE):
        row = rows[report.images[place]]
        if row.pixels == leave_out or row.pixels in found or len(found) == k:
            continue
        label = row.label if report.parts[place] == "train" else None
        found[row.pixels] = Likeness(row.image, similarity, label, row.domain, row.path)
    return list(found.values())


def similar_to(report: Report, features: Features, image: str, k: int = 5) -> list[Likeness]:
    """Return the training images most like one of the report's images; see `similar_training_images`."""
    query = features[report.images.index(image)]
    return similar_training_images(
        report, features, query, leave_out=report.manifest.by_image[image].pixels, k=k
    )


def agreement(similar: Sequence[Likeness], said: str) -> tuple[int, int]:
    """Return (how many of the images like one have the class that is said of it, how many have a label at all)."""
    known = [each for each in similar if each.label is not None]
    return sum(each.label == said for each in known), len(known)
