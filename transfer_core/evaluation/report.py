"""A report: one row per image. Every figure is computed from these rows when it is asked for."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import numpy.typing as npt

from transfer_core.data.manifest import Manifest, Row
from transfer_core.errors import UserError
from transfer_core.evaluation.metrics import Metrics, make_metrics
from transfer_core.files import atomic_path, read_json, told_as, write_json

if TYPE_CHECKING:
    from transfer_core.evaluation.decision import Decision

FEATURES = "features.npy"
UNSPLIT = "unlabelled"  # the part of images that no split assigns


@dataclass(frozen=True)
class Report:
    """What a run's chosen model says of every image of its data set.

    `probabilities` [n, classes]; `parts[i]` is train, val, test or unlabelled. `grouped` tells that
    the split kept groups apart, so that intervals resample groups. `about` holds plain facts:
    selection rule, best epoch, validation figures, seconds, environment.
    """

    manifest: Manifest
    images: tuple[str, ...]
    parts: tuple[str, ...]
    probabilities: npt.NDArray[np.float32]
    grouped: bool
    about: dict[str, Any]

    def rows(self, part: str | None = None) -> list[tuple[Row, str, npt.NDArray[np.float32]]]:
        """Return (manifest row, part, probabilities [classes]) of all images, or of one part's."""
        rows = self.manifest.by_image
        return [
            (rows[image], own, self.probabilities[index])
            for index, (image, own) in enumerate(zip(self.images, self.parts, strict=True))
            if part in (None, own)
        ]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that are tested: all, or the target's where source and target have different ones."""
        return tuple(self.about.get("asked") or self.manifest.classes)

    def metrics(self, *parts: str) -> Metrics:
        """Return the figures of the labelled images of some parts, of the test part where none is named."""
        rows = [each for each in self.rows() if each[0].label is not None and each[1] in (parts or ("test",))]
        numbers = {name: index for index, name in enumerate(self.classes)}
        truth = np.array([numbers[row.label or ""] for row, _, _ in rows], dtype=np.int64)
        said = np.array([numbers[self.manifest.classes[p.argmax()]] for _, _, p in rows], dtype=np.int64)
        groups = [row.group or row.image for row, _, _ in rows] if self.grouped else None
        return make_metrics(truth, said, self.classes, groups)

    def some(self, places: npt.NDArray[np.int64]) -> Report:
        """Return the report of some of the images, by their places."""
        images, parts = (tuple(names[place] for place in places) for names in (self.images, self.parts))
        return replace(self, images=images, parts=parts, probabilities=self.probabilities[places])

    def predicted(self, images: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the number of the likeliest class [n] of some images."""
        place = {image: index for index, image in enumerate(self.images)}
        return np.asarray(self.probabilities[[place[image] for image in images]].argmax(1), dtype=np.int64)

    def save(self, folder: Path, features: npt.NDArray[np.float16] | None = None) -> None:
        """Write the rows, their features [n, d] and the facts; the facts last, because a report exists once they do."""
        if features is not None:
            with atomic_path(folder / FEATURES) as part, part.open("wb") as out:
                np.save(out, features)
        with atomic_path(folder / "predictions.npz") as part, part.open("wb") as out:
            np.savez_compressed(
                out,
                images=np.array(self.images),
                parts=np.array(self.parts),
                probabilities=self.probabilities,
            )
        write_json(folder / "report.json", {"grouped": self.grouped, "about": self.about})


def load_report(folder: Path, manifest: Manifest) -> Report:
    """Return the report that `save` wrote; UserError where it is damaged."""
    message = (
        f"The report of this run is damaged (in {folder}): run it again with the same settings, or delete it."
    )
    with told_as(message), np.load(folder / "predictions.npz", allow_pickle=False) as stored:
        facts = read_json(folder / "report.json")
        return Report(
            manifest=manifest,
            images=tuple(str(each) for each in stored["images"]),
            parts=tuple(str(each) for each in stored["parts"]),
            probabilities=stored["probabilities"],
            grouped=facts["grouped"],
            about=facts["about"],
        )


def load_features(folder: Path) -> npt.NDArray[np.float16]:
    """Return the features [n, d] of a report's images, in its order, read from the disk as they are used."""
    try:
        found: npt.NDArray[np.float16] = np.load(folder / FEATURES, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        message = "This run was made by an older version, which kept no features: run it again to see this."
        raise UserError(message, "no-features") from None
    except (ValueError, EOFError):
        message = f"{folder / FEATURES} is damaged: run this run again with the same settings to see this."
        raise UserError(message, "damaged") from None
    return found


def write_csv(report: Report, decision: Decision, out: TextIO, *, with_names: bool = True) -> None:
    """Write one row per image: image, file, split, label, domain, group, and two columns per class.

    The probability that the pages, the exported model and every threshold mean is the calibrated one, under the class's own
    name; as trained it stands under "uncalibrated CLASS". Both are written whole, so that what is counted in the table is
    what the pages count. Without names there is no file, and groups are numbered.
    """
    writer = csv.writer(out, lineterminator="\n")
    classes = report.manifest.classes
    raw = [f"uncalibrated {name}" for name in classes]
    names = ["file"] if with_names else []
    writer.writerow(safe_cells(["image", *names, "split", "label", "domain", "group", *classes, *raw]))
    numbers: dict[str, str] = {}
    for (row, part, plain), means in zip(
        report.rows(), decision.calibrated(report.probabilities), strict=True
    ):
        group = row.group
        if group and not with_names:
            group = numbers.setdefault(group, f"group {len(numbers) + 1}")
        facts = [row.image, *([row.path] if with_names else []), part, row.label, row.domain, group]
        writer.writerow([*safe_cells(facts), *map(repr, means.tolist()), *(f"{each:.6g}" for each in plain)])


def safe_cells(cells: Iterable[str | None] | Sequence[str]) -> list[str]:
    """Return cells that no spreadsheet takes for a formula (OWASP: CSV injection)."""
    return [f"'{each}" if each and each[0] in "=+-@\t\r" else each or "" for each in cells]
