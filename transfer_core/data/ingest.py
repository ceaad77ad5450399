"""From candidates (anything that can be read as an image) to a stored, immutable manifest."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from transfer_core.data.images import decode, get_look, hash_pixels, make_thumbnail
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest, Problem, Reading, Row
from transfer_core.errors import UserError

Progress = Callable[[int, int], None]
MIN_EDGE = 16  # pixels; anything smaller holds nothing a backbone could see


@dataclass(frozen=True)
class Candidate:
    """One file that may become an image, and what its place or a table says of it."""

    path: str
    read: Callable[[], bytes]
    label: str | None = None
    domain: str | None = None
    group: str | None = None
    given: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


def ingest(
    candidates: Sequence[Candidate],
    name: str,
    library: Library,
    *,
    problems: Iterable[Problem] = (),
    progress: Progress | None = None,
    reading: Reading | None = None,
    note: str = "",
) -> tuple[Manifest, list[Problem]]:
    """Read, check and store every candidate; return the manifest and the problems, file by file.

    A file that cannot be used is a problem and the rest goes on; UserError only when nothing is
    left. Memory is bounded: a few images at a time are in it, whatever the size of the set.
    """
    reading = reading or Reading()
    found = list(problems)
    if not candidates:
        raise UserError(_nothing(name, found), "no-images")
    rows: list[Row] = []
    for number, result in enumerate(_read_all(candidates, reading, library), start=1):
        (rows if isinstance(result, Row) else found).append(result)  # type: ignore[arg-type]
        if progress:
            progress(number, len(candidates))
    rows, doubles = _settle_duplicates(rows)
    found += doubles
    if not rows:
        raise UserError(_nothing(name, found), "no-images")
    classes = tuple(sorted({row.label for row in rows if row.label is not None}))
    found += _class_problems(rows, classes)
    return library.add(Manifest(name, classes, tuple(rows), reading), found, note), found


def _nothing(name: str, problems: list[Problem]) -> str:
    first = f" The first problem: {problems[0].file}: {problems[0].message}." if problems else ""
    return f"No usable images in {name}: bring PNG, JPEG, TIFF, BMP or WebP files in one folder per class.{first}"


def _read_all(candidates: Sequence[Candidate], reading: Reading, library: Library) -> Iterator[Row | Problem]:
    """Yield in order, decoding a few at a time in threads (Pillow works outside the GIL)."""
    waiting = iter(candidates)
    with ThreadPoolExecutor(4) as pool:
        while chunk := list(islice(waiting, 32)):
            yield from pool.map(lambda each: _read_one(each, reading, library), chunk)


def _read_one(candidate: Candidate, reading: Reading, library: Library) -> Row | Problem:
    try:
        data = candidate.read()
        image = decode(data, reading)
        if min(image.size) < MIN_EDGE:
            raise UserError(f"the image is smaller than {MIN_EDGE} pixels", "too-small")
    except UserError as error:
        return Problem(candidate.path, error.kind, str(error))
    except OSError as error:
        return Problem(candidate.path, "unreadable", f"the file cannot be read ({error.strerror})")
    key = hashlib.sha256(data).hexdigest()
    library.store_image(key, data, make_thumbnail(image))
    return Row(
        image=key,
        pixels=hash_pixels(image),
        path=candidate.path,
        width=image.width,
        height=image.height,
        label=candidate.label,
        domain=candidate.domain,
        group=candidate.group,
        given=candidate.given,
        look=get_look(image),
        extra=dict(candidate.extra),
    )


def _settle_duplicates(rows: list[Row]) -> tuple[list[Row], list[Problem]]:
    """Keep one row per file content; contents with two labels are left out, because one is wrong."""
    together: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        together[row.image].append(row)
    kept: list[Row] = []
    problems: list[Problem] = []
    for same in together.values():
        labels = sorted({row.label for row in same if row.label is not None})
        if len(labels) > 1:
            names = " and ".join(labels)
            text = f"the same image stands under {names}; it is left out until only one is right"
            problems += [Problem(row.path, "conflict", text) for row in same]
            continue
        best = min(same, key=lambda row: (row.label is None, row.path))  # whatever the upload's order
        kept.append(best)
        if {row.given for row in same} - {best.given}:
            text = f"the same image is in two parts; it is kept in {best.given} ({best.path}) only"
        else:
            text = f"the same image as {best.path}; it is counted once"
        problems += [Problem(row.path, "duplicate", text) for row in same if row is not best]
    return kept, problems


def _class_problems(rows: list[Row], classes: tuple[str, ...]) -> list[Problem]:
    counts = Counter(row.label for row in rows)
    found = []
    if len(classes) == 1:
        text = "there is only one class; training needs images of at least two"
        found.append(Problem(classes[0], "one-class", text))
    if not classes:
        found.append(Problem("", "no-labels", "no image has a label; put them into one folder per class"))
    for name in classes:
        if counts[name] < 4:
            text = (
                f"the class has {counts[name]} image(s); at least 4 are needed for train, validation and test"
            )
            found.append(Problem(name, "small-class", text))
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        spellings[name.casefold()].append(name)
    for same in (each for each in spellings.values() if len(each) > 1):
        text = f"{' and '.join(same)} differ only in capitals; give them one name if they mean the same"
        found.append(Problem(same[0], "similar-classes", text))
    return found
