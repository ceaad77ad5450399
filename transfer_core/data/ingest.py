"""From candidates (anything that can be read as an image) to a stored, immutable manifest."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from PIL import Image

from transfer_core.data.crew import Crew
from transfer_core.data.depth import Values, share_outside
from transfer_core.data.duplicates import settle_duplicates
from transfer_core.data.grey_range import Outline, draw_outline, find_range
from transfer_core.data.images import NAMES, get_look, hash_pixels, make_thumbnail, open_image, to_rgb
from transfer_core.data.keep import Kept, keep
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest, Problem, Reading, Row
from transfer_core.data.problems import bounded
from transfer_core.errors import UserError
from transfer_core.files import sync_all

T = TypeVar("T")
Progress = Callable[[int, int], None]
CLASS_KINDS = ("one-class", "no-labels", "small-class", "similar-classes", "no-domain", "no-group")
BATCH = 2000  # images that go to the disk together
MIN_EDGE = 16  # pixels; anything smaller holds nothing a backbone could see


@dataclass(frozen=True)
class Candidate:
    """One file that may become an image, and what its place or a table says of it.

    `read` is called in another process where there are many, and has to be something that can be pickled.
    """

    path: str
    read: Callable[[], bytes]
    label: str | None = None
    domain: str | None = None
    group: str | None = None
    given: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    person: str | None = (
        None  # whose image it is, as a table has it: becomes the group as a salted hash, is never stored
    )
    claims: tuple[str, ...] = ()  # labels that contradict each other; then `label` is None


def ingest(
    candidates: Sequence[Candidate],
    name: str,
    library: Library,
    *,
    problems: Iterable[Problem] = (),
    progress: Progress | None = None,
    reading: Reading | None = None,
    note: str = "",
    parent: Manifest | None = None,
    group_pattern: str = "",
) -> tuple[Manifest, list[Problem]]:
    """Read, check and store every candidate; return the manifest and the problems, file by file.

    A file that cannot be used is a problem and the rest goes on; UserError only when nothing is
    left. Memory is bounded: a few images at a time are in it, whatever the size of the set.

    Images of more than 8 bits wait until all are seen: what is black and what is white is then found for all
    of them together, unless `reading` says so, and becomes part of the data set.

    With a `parent` the result is a new version of it: its images and these, read as it is read. `group_pattern`: the
    pattern on paths by which the groups were made, kept for images that are added later.
    """
    reading = parent.reading if parent else reading or Reading()
    found = list(problems)
    if not candidates:
        raise UserError(_nothing(name, found), "no-images")
    rows: list[Row] = []
    waiting: list[_Waiting] = []
    with Crew(len(candidates)) as crew:
        taken = crew.each(partial(take, library, reading), candidates, _lost)
        for number, results in enumerate(_to_disk(taken), start=1):
            for result in results:
                place = {Row: rows, _Waiting: waiting}.get(type(result), found)
                place.append(result)  # type: ignore[attr-defined]
            if progress:
                progress(number, len(candidates))
        if waiting:
            outlines = {each.candidate.path: each.outline for each in waiting if each.outline is not None}
            if reading.low is None and outlines:
                range_ = find_range(outlines)
                reading = replace(reading, low=range_.low, high=range_.high)
                found += [Problem(file, "range", text) for file, text in range_.told()]
            reading = replace(reading, depth="range" if reading.depth == "range" else "window")
            for ends in crew.each(
                partial(_finish, library, reading), waiting, lambda each: _lost(each.candidate)
            ):
                rows += [each for each in ends if isinstance(each, Row)]
                found += [each for each in ends if isinstance(each, Problem)]
    if parent and rows:
        rows = [*parent.rows, *rows]
        before = library.about(parent.id)
        group_pattern = group_pattern or before.group_pattern
        # Those of the classes are found anew below; the others are of files that were brought before.
        found = [*(each for each in before.problems if each.kind not in CLASS_KINDS), *found]
    rows, doubles = settle_duplicates(rows, {row.path for row in parent.rows} if parent else set())
    found += doubles
    rows, lost = _still_there(library, rows)
    found += lost
    if not rows:
        raise UserError(_nothing(name, found), "no-images")
    classes = tuple(sorted({row.label for row in rows if row.label is not None}))
    found += _class_problems(rows, classes)
    version = Manifest(name, classes, tuple(rows), reading, parent.id if parent else None)
    found = bounded(found)
    return library.add(version, found, note, group_pattern), found


def _nothing(name: str, problems: list[Problem]) -> str:
    """Say why there is no image, the cause first, then what to do."""
    files = [each for each in problems if each.kind not in CLASS_KINDS]
    kinds = {each.kind for each in files}
    advice = f"bring {NAMES} files in one folder per class."
    if not files:
        return f"{name} holds no files: {advice}"
    if kinds == {"encrypted"}:
        return f"{name} is locked with a password: unpack it, pack it again without one, and bring that."
    if kinds <= {"wrong-type", "table"}:
        shown = ", ".join(each.file for each in files[:3]) + (", ..." if len(files) > 3 else "")
        return f"There is no image in {name}, only {shown}: {advice}"
    first = files[0]
    return f"No image in {name} can be used. The first problem: {first.file}: {first.message}. To go on, {advice}"


@dataclass(frozen=True)
class _Waiting:
    """A stored image of more than 8 bits. `outline`: of its values, None where the file names its own black and white."""

    candidate: Candidate
    image: str
    outline: Outline | None


def _to_disk(taken: Iterable[T]) -> Iterator[T]:
    """Yield what comes, and meanwhile bring to the disk what was stored, so that the end need not wait for all of it."""
    with ThreadPoolExecutor(1) as disk:
        for number, each in enumerate(taken, start=1):
            yield each
            if number % BATCH == 0:
                disk.submit(sync_all)


def _lost(candidate: Candidate) -> Sequence[Row | _Waiting | Problem]:
    return [Problem(candidate.path, "damaged", "reading the image ended in a crash, or would not end")]


def take(library: Library, reading: Reading, candidate: Candidate) -> Sequence[Row | _Waiting | Problem]:
    """Read a file and store its pictures, without what it says of a person."""
    try:
        data = candidate.read()
        pictures = keep(data, each_frame=reading.frames == "each")
    except UserError as error:
        return [Problem(candidate.path, error.kind, str(error))]
    except OSError as error:
        return [Problem(candidate.path, "unreadable", f"the file cannot be read ({error.strerror})")]
    except Exception:  # one odd file must not take the others with it
        return [Problem(candidate.path, "damaged", "the file is damaged and cannot be read")]
    # Named after the file that was brought, not after what is kept of it: however that is packed, it is the same image.
    origin = hashlib.sha256(data).hexdigest()
    found: list[Row | _Waiting | Problem] = []
    for picture in pictures:
        named = _name(library, candidate, picture, len(pictures))
        found += [Problem(named.path, *notice) for notice in picture.notices]
        of_frame = f"{origin}#{picture.frame}".encode()
        key = hashlib.sha256(of_frame).hexdigest() if len(pictures) > 1 else origin
        try:
            found.append(_store(library, reading, named, picture, key))
        except (UserError, OSError):  # of the disk, not of the picture
            raise
        except Exception:
            found.append(Problem(named.path, "damaged", "the file is damaged and cannot be read"))
    return found


def _name(library: Library, candidate: Candidate, picture: Kept, count: int) -> Candidate:
    """Return the candidate of one picture; the pictures of a patient, and of a file, stay on one side of a split."""
    person = candidate.person or picture.patient
    if person and candidate.group is None:
        candidate = replace(candidate, group=library.pseudonym(person))
    if count > 1:
        group = candidate.group or candidate.path
        candidate = replace(candidate, path=f"{candidate.path}#{picture.frame}", group=group)
    return candidate


def _store(
    library: Library, reading: Reading, candidate: Candidate, picture: Kept, key: str
) -> Row | _Waiting | Problem:
    opened = picture.image
    height, width = opened.values.shape[:2] if isinstance(opened, Values) else opened.size[::-1]
    if min(width, height) < MIN_EDGE:
        return Problem(candidate.path, "too-small", f"the image is smaller than {MIN_EDGE} pixels")
    if isinstance(opened, Values):
        own = opened.window is not None and reading.depth != "range"
        try:
            waiting = _Waiting(candidate, key, None if own else draw_outline(opened.known()))
        except UserError as error:
            return Problem(candidate.path, error.kind, str(error))
        library.store_image(key, picture.data)
        return waiting
    image = to_rgb(opened, reading)
    library.store_image(key, picture.data, make_thumbnail(image))
    return _make_row(candidate, key, image)


def _finish(library: Library, reading: Reading, waiting: _Waiting) -> Sequence[Row | Problem]:
    """Return the row of an image of more than 8 bits, now that black and white are known."""
    opened = open_image(library.image_path(waiting.image).read_bytes())
    image = to_rgb(opened, reading)
    library.store_thumbnail(waiting.image, make_thumbnail(image))
    row = _make_row(waiting.candidate, waiting.image, image)
    outside = share_outside(opened, reading) if isinstance(opened, Values) else 0.0
    if outside > 0.01:
        text = f"{outside:.0%} of its values lie beyond what is black and white in this data set"
        return [row, Problem(row.path, "beyond-range", text)]
    return [row]


def _make_row(candidate: Candidate, key: str, image: Image.Image) -> Row:
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
        claims=candidate.claims,
    )


def _still_there(library: Library, rows: list[Row]) -> tuple[list[Row], list[Problem]]:
    """Leave out images that went while this was read, with a data set that held them and was deleted."""
    gone = [row for row in rows if not library.image_path(row.image).exists()]
    problems = [
        Problem(row.path, "gone", "it was deleted with another data set meanwhile; bring it again")
        for row in gone
    ]
    return [row for row in rows if row not in gone] if gone else rows, problems


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
            images = "image" if counts[name] == 1 else "images"
            text = f"the class has {counts[name]} {images}; at least 4 are needed for training, validation and test"
            found.append(Problem(name, "small-class", text))
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        spellings[name.casefold()].append(name)
    for same in (each for each in spellings.values() if len(each) > 1):
        text = f"{' and '.join(same)} differ only in capitals; give them one name if they mean the same"
        found.append(Problem(same[0], "similar-classes", text))
    return found
