"""A manifest: the immutable list of the images of a data set, and what is known of each."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

PARTS = ("train", "val", "test")
TARGET_TRAIN = "target_train"  # images of a target domain that training may see; their labels it may not


@dataclass(frozen=True)
class Reading:
    """How a file's bytes become 8-bit RGB pixels; the same in training, prediction and export.

    Of values of more than 8 bits, `depth` says what is black and what is white. window: what the file itself
    asks for (DICOM), else `low` and `high`. range: `low` and `high` for all. full-range: there were none when
    the set was read in, and the ends of a 16-bit number are meant.
    """

    depth: str = "full-range"
    background: str = "#ffffff"  # what shows through transparent pixels
    low: float | None = None
    high: float | None = None
    frames: str = "first"  # of files with several pages or frames: the first one, or each as an image

    @property
    def identity(self) -> dict[str, Any]:
        """What a data set's id is made of; settings that came later count where they are not as they always were."""
        late = {"low": None, "high": None, "frames": "first"}
        return {
            name: value for name, value in asdict(self).items() if name not in late or value != late[name]
        }


@dataclass(frozen=True)
class Row:
    """One image. `image` is the sha-256 of the original bytes, `pixels` of the decoded pixels."""

    image: str
    pixels: str
    path: str
    width: int
    height: int
    label: str | None = None
    domain: str | None = None
    group: str | None = None
    given: str | None = None  # train, val or test, where the upload said so
    look: str = ""  # perceptual hash, 16 hex digits: near-duplicates are close in Hamming distance
    extra: Mapping[str, str] = field(default_factory=dict)
    claims: tuple[
        str, ...
    ] = ()  # labels under which it came that contradict each other; then `label` is None

    def to_json(self) -> dict[str, Any]:
        """Return plain data. `claims` came later and is left out where there are none: ids stay what they were."""
        return (
            vars(self) if self.claims else {name: vars(self)[name] for name in vars(self) if name != "claims"}
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Row:
        """Return the row that `to_json` described."""
        return cls(**{**data, "claims": tuple(data["claims"])} if "claims" in data else data)


@dataclass(frozen=True)
class Problem:
    """Something about one file that the user should know, with what became of it. `more`: so many others, of no named file."""

    file: str
    kind: str
    message: str
    more: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        told: dict[str, Any] = {"file": self.file, "kind": self.kind, "message": self.message}
        return told | ({"more": self.more} if self.more else {})


@dataclass(frozen=True)
class Manifest:
    """The images of a data set. Its id comes from the content alone, not from name or order."""

    name: str
    classes: tuple[str, ...]
    rows: tuple[Row, ...]
    reading: Reading = Reading()
    parent: str | None = None

    @cached_property
    def id(self) -> str:
        """Sixteen hex digits of the sha-256 over classes, reading and rows in canonical order."""
        rows = sorted(json.dumps(row.to_json(), sort_keys=True) for row in self.rows)
        content = json.dumps([self.classes, self.reading.identity, rows])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def named(self, name: str) -> Manifest:
        """Return the same images under another name."""
        other = replace(self, name=name)
        other.__dict__["id"] = self.id  # the name is no part of it, and it takes long with many images
        return other

    @cached_property
    def by_image(self) -> dict[str, Row]:
        """The rows by image hash."""
        return {row.image: row for row in self.rows}

    @cached_property
    def labelled(self) -> list[Row]:
        """The rows that have a label."""
        return [row for row in self.rows if row.label is not None]

    @cached_property
    def domains(self) -> dict[str, int]:
        """Images per domain, in name order; empty where no image names one."""
        return count(row.domain for row in self.rows)

    @cached_property
    def groups(self) -> dict[str, int]:
        """Images per group, in name order; empty where no image names one."""
        return count(row.group for row in self.rows)

    @cached_property
    def class_counts(self) -> dict[str, int]:
        """Labelled images per class, in class order."""
        counts = Counter(row.label for row in self.rows)
        return {name: counts[name] for name in self.classes}

    def class_counts_by_domain(self) -> dict[str, dict[str, int]]:
        """Labelled images per domain and class; one entry "all images" where no image names a domain."""
        other = "no domain" if self.domains else "all images"
        counts = Counter((row.domain or other, row.label) for row in self.labelled)
        names = dict.fromkeys([*self.domains, *(domain for domain, _ in counts)])
        return {domain: {name: counts[domain, name] for name in self.classes} for domain in names}

    def to_json(self) -> dict[str, Any]:
        """Return plain data; `from_json` is its inverse."""
        return {
            "name": self.name,
            "classes": self.classes,
            "rows": [row.to_json() for row in self.rows],
            "reading": asdict(self.reading),
            "parent": self.parent,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Manifest:
        """Return the manifest that `to_json` described."""
        return cls(
            name=data["name"],
            classes=tuple(data["classes"]),
            rows=tuple(Row.from_json(row) for row in data["rows"]),
            reading=Reading(**data["reading"]),
            parent=data["parent"],
        )


def count(values: Iterable[str | None]) -> dict[str, int]:
    """Return how often each value occurs, in name order, leaving None out."""
    counts = Counter(each for each in values if each is not None)
    return {name: counts[name] for name in sorted(counts)}
