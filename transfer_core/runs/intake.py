"""Bringing images in the background, so that a refresh or a page change loses nothing.

An upload is first written to `uploads/<token>/`; a thread then reads it into the library. What a
killed server left there is read again at the next start: images are stored by content, so the
work already done is not done twice. What cannot be read stays, until somebody says what becomes of it.
"""

from __future__ import annotations

import threading
import time
import traceback
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from transfer_core.data.adding import fit_in
from transfer_core.data.alike import get_alike
from transfer_core.data.health import get_findings, measure_all
from transfer_core.data.ingest import Candidate, Progress, ingest
from transfer_core.data.label_table import Columns, lay_over, read_table
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest, Problem, Reading
from transfer_core.data.reread import reread
from transfer_core.data.samples import SOLAR_CELLS, add_solar_cells
from transfer_core.data.sources import (
    arrange,
    check_inside,
    find_tables,
    is_table,
    make_file_reader,
    open_source,
)
from transfer_core.errors import UserError
from transfer_core.files import get_roots, is_id, read_json, read_kept
from transfer_core.runs.unread import (
    GONE,
    Starts,
    Unread,
    find_unread,
    forgive,
    is_resumable,
    is_whole,
    note_failure,
    remove,
)
from transfer_core.runs.uploads import Upload, close_upload

UNREADABLE = "The images could not be read; the server's output has the details."
Job = Callable[[Progress], tuple[Manifest, list[Problem]]]


@dataclass(frozen=True)
class Contents:
    """What an upload holds, by its names alone: nothing is decoded yet."""

    candidates: list[Candidate]
    problems: list[Problem]
    tables: dict[str, Callable[[], bytes]]


def look_into(files: dict[str, Path], source: str | None = None, parent: Manifest | None = None) -> Contents:
    """Return the images and tables among uploaded files, a single zip looked into, or in the folder `source` instead.

    `parent`: the data set to which they are added. UserError where the folder is none that may be read.
    """
    if source:
        check_inside(Path(source), get_roots())
        return Contents(*open_source(Path(source), parent), find_tables(Path(source)))
    if len(files) == 1 and next(iter(files)).lower().endswith(".zip"):
        packed = next(iter(files.values()))
        return Contents(*open_source(packed, parent), find_tables(packed))
    readers = [(path, make_file_reader(at)) for path, at in files.items()]
    tables = {path: read for path, read in readers if is_table(path)}
    return Contents(*arrange(readers, (), parent), tables)


@dataclass
class Arrival:
    """One set of images on its way in. `dataset` or `error` is set at the end; `already` where it was here before."""

    name: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    done: int = 0
    total: int = 0
    doing: str = "Reading"
    dataset: str | None = None
    error: str | None = None
    already: bool = False
    kept: bool = False  # what was uploaded is still here, to be tried again or deleted: see `Intake.unread`
    since: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float | None:
        """Seconds left at the pace so far; None in the first two seconds, when nobody could tell."""
        took = time.monotonic() - self.since
        return (self.total - self.done) * took / self.done if self.done and took > 2 else None

    @property
    def is_over(self) -> bool:
        """Whether it has arrived or failed."""
        return self.dataset is not None or self.error is not None


def _clear_away(folder: Path) -> None:
    with suppress(UserError):  # in a home that can only be read all stays as it is
        remove(folder)


class Intake:
    """The arrivals of one server process."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._folder = library.home / "uploads"
        self._arrivals: dict[str, Arrival] = {}

    def arrivals(self) -> list[Arrival]:
        """Return what is on its way or ended since the server started."""
        return list(self._arrivals.values())

    def get(self, arrival: str) -> Arrival | None:
        """Return an arrival by id."""
        return self._arrivals.get(arrival)

    def add_sample(self) -> Arrival:
        """Bring the solar cells."""
        return self._begin(SOLAR_CELLS, lambda tell: add_solar_cells(self._library, tell))

    def add_folder(self, folder: Path) -> Arrival:
        """Bring a folder of this machine that lies below one that may be read."""
        check_inside(folder, get_roots())

        def job(tell: Progress) -> tuple[Manifest, list[Problem]]:
            candidates, problems = open_source(folder)
            return ingest(candidates, folder.name, self._library, problems=problems, progress=tell)

        return self._begin(folder.name, job)

    def add_reading(self, manifest: Manifest, reading: Reading) -> Arrival:
        """Read the images of a data set in another way, as a new version of it."""

        def job(tell: Progress) -> tuple[Manifest, list[Problem]]:
            note = "other black and white"
            if reading.low is not None and reading.high is not None and reading.depth == "range":
                note = f"black at {reading.low:g}, white at {reading.high:g}"
            return self._library.add_version(reread(self._library, manifest, reading, tell), note), []

        return self._begin(manifest.name, job)

    def check(self, manifest: Manifest) -> Arrival:
        """Look at the images of a data set that was brought before there was a check."""
        return self._begin(manifest.name, lambda _: (manifest, []), brings=False)

    def add_upload(
        self,
        upload: Upload,
        name: str,
        *,
        parent: str | None = None,
        table: str | None = None,
        columns: Columns | None = None,
        frames: str = "first",
        source: str | None = None,
    ) -> Arrival:
        """Bring what a browser has sent: a zip, or files under their relative paths; or the folder `source` of this machine.

        With a `parent`, as a new version of that data set. `table` is the path of the table of labels among the
        files, and `columns` what its columns mean; `frames` of files with several: the "first" or "each".
        """
        told = {
            "parent": parent,
            "table": table,
            "columns": asdict(columns) if columns else None,
            "frames": frames,
            "source": source,
        }
        return self._read_upload(close_upload(upload, name, told))

    def recover(self) -> list[Arrival]:
        """Go on with whole uploads that a killed server left, and clear away torn ones."""
        found = []
        for folder in self._folder.glob("*"):
            if folder.name.endswith(GONE):
                _clear_away(folder)
            elif (folder / "failed.json").exists() or not is_id(folder.name):
                continue
            elif read_kept(folder / "upload.json", {}):  # where it is damaged, the upload is listed as unread
                found.append(self._read_upload(folder))
            elif not is_whole(folder) and not is_resumable(folder):
                _clear_away(folder)
        return found

    def unread(self) -> list[Unread]:
        """Return the whole uploads that nobody reads: those that could not be read, and those nobody asked for."""
        return find_unread(self._library.home)

    def retry(self, upload: Upload) -> Arrival:
        """Read an upload again that could not be read."""
        forgive(upload.folder)
        return self._read_upload(upload.folder)

    def _read_upload(self, folder: Path) -> Arrival:
        about = read_json(folder / "upload.json")
        files = {path: folder / name for path, name in about["files"].items()}

        def job(tell: Progress) -> tuple[Manifest, list[Problem]]:
            try:
                starts = Starts(folder)
                starts.begin()
                result = self._ingest(about, files, starts.watching(tell))
            except UserError as error:
                told = str(error)
                for path, at in files.items():
                    told = told.replace(at.name, path)  # the user's name, not ours
                note_failure(folder, told)
                raise UserError(told, error.kind) from None
            except Exception:
                note_failure(folder, UNREADABLE)
                raise
            remove(folder)
            return result

        return self._begin(about["name"], job, folder=folder)

    def _ingest(
        self, about: dict[str, Any], files: dict[str, Path], tell: Progress
    ) -> tuple[Manifest, list[Problem]]:
        """Read an upload into the library, as it was told."""
        parent = self._library.get(about["parent"]) if about.get("parent") else None
        found = look_into(files, about.get("source"), parent)
        candidates, problems = found.candidates, found.problems
        if about.get("table"):
            table = read_table(found.tables[about["table"]](), about["table"])
            problems = [each for each in problems if each.file != about["table"]]
            candidates, more = lay_over(table, Columns.from_json(about["columns"]), candidates)
            problems += more
        if parent:
            candidates, more = fit_in(candidates, parent, self._library)
            problems += more
        return ingest(
            candidates,
            self._library.version_name(parent.id) if parent else about["name"],
            self._library,
            problems=problems,
            progress=tell,
            parent=parent,
            note=f"{len(candidates):,} files added" if parent else "",
            reading=Reading(frames=about.get("frames", "first")),
        )

    def _begin(self, name: str, job: Job, *, brings: bool = True, folder: Path | None = None) -> Arrival:
        arrival = Arrival(name)
        self._arrivals[arrival.id] = arrival

        def tell(done: int, total: int) -> None:
            arrival.done, arrival.total = done, total

        def work() -> None:
            try:
                before = {each.id for each in self._library.datasets()}
                manifest, _ = job(tell)
                arrival.already = brings and manifest.id in before
                arrival.doing, arrival.since = "Checking", time.monotonic()
                measure_all(self._library, manifest, tell)
                arrival.doing, arrival.since = "Looking for look-alikes", time.monotonic()
                get_alike(self._library, manifest, tell)
                get_findings(self._library, manifest)
                arrival.dataset = manifest.id
            except UserError as error:
                arrival.kept = folder is not None and folder.exists()
                arrival.error = str(error)
            except Exception:
                traceback.print_exc()
                arrival.kept = folder is not None and folder.exists()
                arrival.error = UNREADABLE

        threading.Thread(target=work, daemon=True).start()
        return arrival
