"""The health check of a data set: what in it could spoil a classifier or its test, and what to do about it."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from transfer_core.data.alike import FILE as ALIKE_FILE
from transfer_core.data.alike import get_alike
from transfer_core.data.crew import Crew
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest, Row
from transfer_core.files import read_kept, write_json

RULES = 2  # another number where anything below, or what becomes of it, changes: what was found before is then found anew
TINY = 64  # pixels; below it a backbone sees mostly blur
DARK, BRIGHT = 16.0, 239.0  # mean grey value, of 255
FLAT = 2.0  # standard deviation of grey values, of 255
BLURRED = 0.3  # sharpness beside the set's median
RARE = 0.1  # a class's images beside those of the largest
SPLITTABLE = 4  # images of a class that train, validation and test need
APART = 2.0  # difference of two domains' mean grey values, in standard deviations within them
LOOKS = {"brightness": "mean", "contrast": "spread"}

REMEDIES = {
    "near-duplicates": ("group", "exclude", "keep"),
    "same-pixels": ("exclude", "keep"),
    "two-labels": ("relabel", "exclude"),
    "tiny": ("exclude", "keep"),
    "blurred": ("exclude", "keep"),
    "dark": ("exclude", "keep"),
    "bright": ("exclude", "keep"),
    "flat": ("exclude", "keep"),
    "rare-class": ("merge", "keep"),
    "small-class": ("merge", "exclude", "keep"),
    "domains-differ": ("keep",),
}


@dataclass(frozen=True)
class Finding:
    """Something about several images. `clusters`: which of them belong together, where that means something."""

    kind: str
    message: str
    images: tuple[str, ...]
    clusters: tuple[tuple[str, ...], ...] = ()

    @property
    def remedies(self) -> tuple[str, ...]:
        """What can be done about it."""
        return REMEDIES[self.kind]


@dataclass(frozen=True)
class Measures:
    """What a thumbnail shows at a glance: mean and spread of its grey values, and how sharp its edges are."""

    mean: float
    spread: float
    sharpness: float


def measure(thumbnail: bytes) -> Measures:
    """Return the measures of a thumbnail; sharpness is the spread of its Laplacian, beside that of its grey values."""
    with Image.open(io.BytesIO(thumbnail), formats=("JPEG",)) as opened:
        grey = opened.convert("L")
    edges = np.asarray(grey.filter(_LAPLACE), dtype=np.float64)[1:-1, 1:-1] - 128
    values = np.asarray(grey, dtype=np.float64)
    spread = float(values.std())
    return Measures(float(values.mean()), spread, float(edges.std()) / max(spread, 1.0))


_LAPLACE = ImageFilter.Kernel((3, 3), (0, 1, 0, 1, -4, 1, 0, 1, 0), scale=1, offset=128)


def is_checked(library: Library, manifest: Manifest) -> bool:
    """Tell whether the images of a data set were measured, and look-alikes looked for, in it or in what it came from."""
    kept = library.folder / manifest.id
    if all((kept / name).exists() for name in ("measures.json", ALIKE_FILE)):
        return True
    before = library.before(manifest)
    if before is None or not manifest.by_image.keys() <= before.by_image.keys():
        return False
    return is_checked(library, before)


def measure_all(
    library: Library, manifest: Manifest, progress: Callable[[int, int], None] | None = None
) -> dict[str, Measures]:
    """Return the measures of every image of a data set, taken once and kept beside it."""
    path = library.folder / manifest.id / "measures.json"
    before = library.before(manifest) if not path.exists() else None
    own = manifest.by_image
    known = library.folder / before.id / "measures.json" if before else path
    kept: dict[str, Measures] = {}
    with suppress(TypeError):  # a damaged file: they are measured anew
        found: dict[str, list[float]] = read_kept(known, {})
        kept = {image: Measures(*each) for image, each in found.items() if image in own}
    missing = [row.image for row in manifest.rows if row.image not in kept]
    with Crew(len(missing)) as crew:
        measured = crew.each(partial(_measure_stored, library), missing, lambda _: Measures(0.0, 0.0, 0.0))
        for number, (image, each) in enumerate(zip(missing, measured, strict=True), start=1):
            kept[image] = each
            if progress:
                progress(number, len(missing))
    if missing or not path.exists():
        write_json(path, {image: list(asdict(each).values()) for image, each in kept.items()})
    return kept


def _measure_stored(library: Library, image: str) -> Measures:
    return measure(library.thumb_path(image).read_bytes())


def get_findings(library: Library, manifest: Manifest) -> list[Finding]:
    """Return what stands out in a data set, found once and kept beside it."""
    path = library.folder / manifest.id / "findings.json"
    kept: dict[str, Any] = read_kept(path, {})
    if kept.get("rules") == RULES and "findings" in kept:
        return [
            Finding(each["kind"], each["message"], tuple(each["images"]), tuple(map(tuple, each["clusters"])))
            for each in kept["findings"]
        ]
    found = check_health(library, manifest, measure_all(library, manifest))
    write_json(path, {"rules": RULES, "findings": [vars(each) for each in found]})
    return found


def check_health(library: Library, manifest: Manifest, measures: Mapping[str, Measures]) -> list[Finding]:
    """Return what stands out, the gravest first."""
    rows = manifest.rows
    alike = _same_pixels(rows)
    return [
        *_claims(rows),
        *_two_labels(rows, alike),
        *_finding("same-pixels", "exactly the same pixels as another", alike),
        *_near_duplicates(get_alike(library, manifest), alike),
        *_looks(rows, measures),
        *_classes(manifest),
        *_domains(rows, measures),
    ]


def _finding(kind: str, message: str, clusters: Sequence[Sequence[str]]) -> list[Finding]:
    images = tuple(image for each in clusters for image in each)
    if not images:
        return []
    return [Finding(kind, _counted(len(images), message), images, tuple(map(tuple, clusters)))]


def _counted(n: int, what: str) -> str:
    return f"{_images(n)}: {what}"


def _images(n: int) -> str:
    return f"{n:,} {'image' if n == 1 else 'images'}"


def _same_pixels(rows: Iterable[Row]) -> list[list[str]]:
    together: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        together[row.pixels].append(row.image)
    return [each for each in together.values() if len(each) > 1]


def _two_labels(rows: Sequence[Row], alike: Sequence[Sequence[str]]) -> list[Finding]:
    label = {row.image: row.label for row in rows}
    clusters = [each for each in alike if len({label[image] for image in each} - {None}) > 1]
    return _finding(
        "two-labels", "the same pixels under different labels, and one of them is wrong", clusters
    )


def _claims(rows: Sequence[Row]) -> list[Finding]:
    """Tell of images that came under several labels, and have none until somebody chooses one."""
    open_ = [row for row in rows if row.claims and row.label is None]
    said = [f"{PurePosixPath(row.path).name} as {' and as '.join(row.claims)}" for row in open_[:3]]
    more = f", and {len(open_) - 3} more" if len(open_) > 3 else ""
    text = (
        f"brought under several labels ({', '.join(said)}{more}); without a label until the right one is set"
    )
    return _finding("two-labels", text, [[row.image] for row in open_])


def _near_duplicates(clusters: Sequence[Sequence[str]], alike: Sequence[Sequence[str]]) -> list[Finding]:
    exact = {frozenset(each) for each in alike}
    rest = [each for each in clusters if frozenset(each) not in exact]
    text = (
        "they look nearly the same as another; a split keeps them on one side, or they would flatter the test"
    )
    return _finding("near-duplicates", text, rest)


def _looks(rows: Sequence[Row], measures: Mapping[str, Measures]) -> list[Finding]:
    median = float(np.median([each.sharpness for each in measures.values()])) if measures else 0.0

    def those(kind: str, message: str, is_so: Callable[[Row, Measures], bool]) -> list[Finding]:
        images = [row.image for row in rows if row.image in measures and is_so(row, measures[row.image])]
        return [Finding(kind, _counted(len(images), message), tuple(images))] if images else []

    return [
        *those("tiny", f"smaller than {TINY} pixels", lambda row, _: min(row.width, row.height) < TINY),
        *those("flat", "next to nothing to see, all of one grey", lambda _, m: m.spread < FLAT),
        *those("dark", "almost black", lambda _, m: m.mean < DARK and m.spread >= FLAT),
        *those("bright", "almost white", lambda _, m: m.mean > BRIGHT and m.spread >= FLAT),
        *those("blurred", "far less sharp than the others",
               lambda _, m: m.spread >= FLAT and m.sharpness < BLURRED * median),
    ]  # fmt: skip


def _classes(manifest: Manifest) -> list[Finding]:
    counts = manifest.class_counts
    most = max(counts.values(), default=0)
    found = []
    for name, count in counts.items():
        images = tuple(row.image for row in manifest.rows if row.label == name)
        if count < SPLITTABLE:
            text = f"{name} has {_images(count)}: too few for training, validation and test"
            found.append(Finding("small-class", text, images))
        elif count < RARE * most:
            text = f"{name} has {_images(count)} beside {most:,} of the largest class: choose balanced class weights"
            found.append(Finding("rare-class", text, images))
    return found


def _domains(rows: Sequence[Row], measures: Mapping[str, Measures]) -> list[Finding]:
    """Tell of pairs of domains that differ at a glance: in brightness or contrast, beside the spread within them."""
    by_domain: dict[str, list[Measures]] = defaultdict(list)
    for row in rows:
        if row.domain is not None and row.image in measures:
            by_domain[row.domain].append(measures[row.image])
    names = [name for name in sorted(by_domain) if len(by_domain[name]) > 1]
    found = []
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            what = [word for word, value in LOOKS.items() if _apart(by_domain[one], by_domain[other], value)]
            if what:
                text = (
                    f"{one} and {other} differ in {' and '.join(what)} at a glance: a classifier may learn the place "
                    f"instead of the class; split by domain to see, or adapt from one to the other"
                )
                found.append(Finding("domains-differ", text, ()))
    return found


def _apart(one: Sequence[Measures], other: Sequence[Measures], value: str) -> bool:
    a, b = ([getattr(each, value) for each in those] for those in (one, other))
    within = np.sqrt((np.var(a) + np.var(b)) / 2)
    return bool(abs(np.mean(a) - np.mean(b)) > APART * max(float(within), 1e-9))


def finding_object(finding: Finding, manifest: Manifest) -> dict[str, Any]:
    """Return a finding as plain data, its images by their paths."""
    path = {row.image: row.path for row in manifest.rows}
    return {
        "kind": finding.kind,
        "message": finding.message,
        "files": [path[image] for image in finding.images],
        "together": [[path[image] for image in each] for each in finding.clusters],
        "remedies": list(finding.remedies),
    }
