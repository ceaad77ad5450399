"""Bringing images in the background, so that a refresh or a page change loses nothing.

An upload is first written to `uploads/<token>/`; a thread then reads it into the library. What a
killed server left there is read again at the next start: images are stored by content, so the
work already done is not done twice.
"""

from __future__ import annotations

import shutil
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

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
from transfer_core.files import get_roots, read_json, write_json
from transfer_core.runs.uploads import Upload, close_upload, is_resumable

TRIES = 3  # of reading an upload, at so many starts of the server
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
            if (folder / "upload.json").exists():
                found.append(self._read_upload(folder))
            elif not is_resumable(folder):
                shutil.rmtree(folder, ignore_errors=True)
        return found

    def _read_upload(self, folder: Path) -> Arrival:
        about = read_json(folder / "upload.json")

        def job(tell: Progress) -> tuple[Manifest, list[Problem]]:
            files = {path: folder / name for path, name in about["files"].items()}
            tried = int(about.get("tried", 0)) + 1
            if tried > TRIES:  # whoever read it died of it, each time
                shutil.rmtree(folder, ignore_errors=True)
                raise UserError(
                    "It could not be read, several times: bring it in smaller parts.", "unreadable"
                )
            write_json(folder / "upload.json", {**about, "tried": tried})
            try:
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
                name = self._library.version_name(parent.id) if parent else about["name"]
                note = f"{len(candidates):,} files added" if parent else ""
                result = ingest(
                    candidates,
                    name,
                    self._library,
                    problems=problems,
                    progress=tell,
                    parent=parent,
                    note=note,
                    reading=Reading(frames=about.get("frames", "first")),
                )
                shutil.rmtree(
                    folder, ignore_errors=True
                )  # what fails otherwise is read again at the next start
                return result
            except UserError as error:
                told = str(error)
                for path, at in files.items():
                    told = told.replace(at.name, path)  # the user's name, not ours
                shutil.rmtree(folder, ignore_errors=True)
                raise UserError(told, error.kind) from None

        return self._begin(about["name"], job)

    def _begin(self, name: str, job: Job, *, brings: bool = True) -> Arrival:
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
                arrival.error = str(error)
            except Exception:
                traceback.print_exc()
                arrival.error = "The images could not be read; the server's output has the details."

        threading.Thread(target=work, daemon=True).start()
        return arrival
