"""Predictions in the background: a folder `predictions/<id>/` each, worked off by a process, listed until deleted.

    job.json        what was asked: run, name, where the files are; a job exists once this does
    state.json      how far it is, written over and over by whoever works on it
    rows.jsonl      an answer each, appended
    pictures/       a small picture of each answer's image
    upload/         the files that were sent; gone when the job is over, unless it failed and may be tried again
    stop            somebody wants it to stop
    lock            held by whoever works on it; free means that nobody does

Nothing of a job is in the server: it survives a refresh, a closed tab, a killed server, and, going on where it stood, its
own process being killed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import ClassVar, Protocol

from filelock import FileLock, Timeout

from transfer_core.data.ingest import Candidate
from transfer_core.data.manifest import Problem
from transfer_core.data.sources import check_inside, open_source
from transfer_core.errors import UserError
from transfer_core.files import (
    folder_bytes,
    get_roots,
    is_id,
    plain_words,
    read_json,
    read_kept,
    told_as,
    write_json,
)
from transfer_core.runs.answers import Answer
from transfer_core.runs.intake import look_into
from transfer_core.runs.liveness import is_lock_free
from transfer_core.runs.prediction_job import ASKED, SEEN_THROUGH, Job
from transfer_core.runs.uploads import Upload, files_of

NOBODY = ""  # the run of a job of which that is not known any more
TRIES = 3  # of working a job off, when whoever did died before the next image was looked at
FEW = 24  # files that the warm helper sees at once; more get a process of their own, so that nobody waits for them
PATIENCE = 10.0  # seconds in which who works on a job lets go of it


class Hand(Protocol):
    """Who works off a job of few files at once: the warm helper."""

    def work_off(self, job: str) -> None:
        """Return once the job is over."""
        ...


class PredictionJobs:
    """The jobs below one home folder."""

    # By home, and one for the whole process: it outlives whoever started it, and its handle has to live as long.
    _processes: ClassVar[dict[Path, subprocess.Popen[bytes]]] = {}

    def __init__(self, home: Path) -> None:
        self.home = home
        self._folder = home / "predictions"
        self._threads: dict[str, threading.Thread] = {}

    # -- asking ---------------------------------------------------------------------------

    def add_upload(self, run: str, upload: Upload, name: str) -> Job:
        """Ask a run about files that a browser has sent; they are taken over, and gone when the job is over."""
        files = {path: place.name for path, place in sorted(files_of(upload).items())}
        if not files:
            raise UserError("Nothing has arrived: choose the images again.", "no-images")
        job = Job(uuid.uuid4().hex[:12], run, name[:200] or "Images", time.time(), files)
        # What is asked goes along with the files: cut off at any moment, they are an upload or a job.
        write_json(upload.folder / "job.json", job.asked())
        with plain_words(self._folder):
            self.place(job.id).mkdir(parents=True)
            upload.folder.rename(self.place(job.id) / "upload")
        self._take_over(self.place(job.id))
        return job

    def add_folder(self, run: str, folder: Path) -> Job:
        """Ask a run about a folder of this machine that lies below one that may be read; it stays as it is."""
        check_inside(folder, get_roots())
        job = Job(uuid.uuid4().hex[:12], run, folder.name, time.time(), folder=str(folder.resolve()))
        with plain_words(self._folder):
            self.place(job.id).mkdir(parents=True)
        write_json(self.place(job.id) / "job.json", job.asked())
        return job

    @staticmethod
    def _take_over(place: Path) -> bool:
        """Let files that were sent become a job; False where none have come."""
        try:
            (place / "upload" / "job.json").replace(place / "job.json")
        except FileNotFoundError:
            return False
        return True

    def retry(self, job: Job, hand: Hand | None = None) -> None:
        """Go on with a job that failed, where it stood; UserError where its files are no longer here."""
        if job.files and not (self.place(job.id) / "upload").exists():
            raise UserError("Its images are no longer here: choose them again.", "no-images")
        with held(self.place(job.id), PATIENCE) as free:
            if not free or self.get(job.id).state != "failed":
                return  # somebody was faster
            (self.place(job.id) / "stop").unlink(missing_ok=True)
            self.write(replace(self.get(job.id), state="waiting", tried=0, error=""))
        self.start(job, hand)

    def start(self, job: Job, hand: Hand | None = None) -> None:
        """Have a job worked off: by `hand` where it is small, else by a process of its own that outlives the server."""
        if (
            hand is None
            or job.folder
            or not 0 < len(job.files) <= FEW
            or any(each.lower().endswith(".zip") for each in job.files)
        ):
            self._start_process()
            return

        def work() -> None:
            try:
                hand.work_off(job.id)
            except UserError:  # the helper died: the job is looked after as any other
                self._start_process()

        thread = threading.Thread(target=work, daemon=True)
        self._threads[job.id] = thread
        thread.start()

    def _start_process(self) -> None:
        running = self._processes.get(self.home)
        if running is not None and running.poll() is None:
            return  # it looks for what waits before it ends; should it miss this one, `look` does not
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "output.log").open("ab") as output:
            self._processes[self.home] = subprocess.Popen(
                [sys.executable, "-m", "transfer_core.runs.prediction_worker", str(self.home)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
                start_new_session=os.name != "nt",
            )

    # -- looking --------------------------------------------------------------------------

    def place(self, job: str) -> Path:
        """Return a job's folder."""
        if not is_id(job):
            raise UserError("There are no such predictions: they may have been deleted.", "no-predictions")
        return self._folder / job

    def jobs(self, run: str | None = None) -> list[Job]:
        """Return all jobs, or those of a run (of NOBODY: the damaged ones), the newest first."""
        found = [self._read(path.parent) for path in self._folder.glob("*/job.json")]
        wanted = [each for each in found if each and run in (None, each.run)]
        return sorted(wanted, key=lambda each: -each.created)

    def get(self, job: str) -> Job:
        """Return a job; UserError where there is none."""
        found = self._read(self.place(job))
        if found is None:
            raise UserError("There are no such predictions: they may have been deleted.", "no-predictions")
        return found

    def _read(self, folder: Path) -> Job | None:
        try:
            asked = read_json(folder / "job.json")
            return Job(**asked, **read_kept(folder / "state.json", {}))
        except FileNotFoundError:  # deleted meanwhile
            return None
        except (ValueError, TypeError):
            when = folder.stat().st_mtime
            told = f"What was asked is damaged ({folder / 'job.json'}): delete this and ask again."
            return Job(folder.name, NOBODY, "Damaged predictions", when, state="failed", error=told)

    def look(self) -> None:
        """Go on with what nobody works on: a job whose process was killed, or that waits and was never begun."""
        idle = [job for job in self.jobs() if not job.is_over and not self._is_at_work(job)]
        if idle:
            self._start_process()

    def _is_at_work(self, job: Job) -> bool:
        thread = self._threads.get(job.id)
        if thread is not None and thread.is_alive():
            return True
        lock = self.place(job.id) / "lock"
        return lock.exists() and not is_lock_free(lock)

    def answers(self, job: str) -> list[Answer]:
        """Return what came of a job's files so far."""
        path = self.place(job) / "rows.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []  # the last one may be torn
        with told_as(f"These predictions are damaged ({path} cannot be read): delete them and ask again."):
            return [Answer.from_json(json.loads(line)) for line in lines]

    def picture(self, job: str, row: int) -> Path:
        """Return where the small picture of the `row`-th answer lies; there is none of a file that could not be read."""
        return self.place(job) / "pictures" / f"{row:06d}.jpg"

    def size(self, job: str) -> int:
        """Return the bytes that a job takes."""
        return folder_bytes(self.place(job))

    # -- ending ---------------------------------------------------------------------------

    def stop(self, job: str) -> None:
        """Let a job end after the images that are being looked at; what was found so far stays."""
        place = self.place(job)
        with plain_words(place):
            (place / "stop").touch()
        with held(place, 0) as free:  # nobody works on it: then nobody will
            if free and not self.get(job).is_over:
                self.write(replace(self.get(job), state="stopped"))
                self.forget_files(job)

    def delete(self, job: str) -> int:
        """Remove a job with all that was kept of its images; return the bytes freed."""
        place = self.place(job)
        if not place.exists():
            return 0
        (place / "stop").touch()
        with held(place, PATIENCE) as free:
            if not free:
                raise UserError("These predictions are still being made: try again in a moment.", "active")
            size = self.size(job)
            for doomed in (place / "upload" / "job.json", place / "job.json"):
                doomed.unlink(missing_ok=True)  # first: without it there is no job
        shutil.rmtree(place, ignore_errors=True)
        return size

    def delete_of_run(self, run: str) -> int:
        """Remove all jobs of a run; return the bytes freed."""
        return sum(self.delete(job.id) for job in self.jobs(run))

    def sweep(self) -> None:
        """Remove folders that are no job, and files sent for jobs that are done; a job that was cut off becomes one."""
        for place in self._folder.glob("*"):
            if (
                place.is_dir()
                and not (place / "job.json").exists()
                and time.time() - place.stat().st_mtime > 60
                and not self._take_over(place)
            ):
                shutil.rmtree(place, ignore_errors=True)
        for job in self.jobs():
            if job.state in SEEN_THROUGH:
                self.forget_files(job.id)

    # -- for whoever works on one ---------------------------------------------------------

    def write(self, job: Job) -> None:
        """Write down how far a job is."""
        told = asdict(job)
        write_json(
            self.place(job.id) / "state.json",
            {name: value for name, value in told.items() if name not in ASKED},
        )

    def items(self, job: Job) -> list[Candidate | Problem]:
        """Return the files of a job, those that are no images first, always in the same order."""
        if job.folder:
            folder = Path(job.folder)
            check_inside(folder, get_roots())
            candidates, problems = open_source(folder)
        else:
            sent = self.place(job.id) / "upload"
            found = look_into({path: sent / name for path, name in job.files.items()})
            candidates, problems = found.candidates, found.problems
        return [*problems, *candidates]

    def wants_stop(self, job: str) -> bool:
        """Tell whether somebody wants a job to stop."""
        return (self.place(job) / "stop").exists()

    def forget_files(self, job: str) -> None:
        """Remove the files that were sent for a job."""
        shutil.rmtree(self.place(job) / "upload", ignore_errors=True)


@contextmanager
def held(place: Path, patience: float) -> Iterator[bool]:
    """Hold a job's lock; yield whether it could be had within `patience` seconds."""
    lock = FileLock(place / "lock")
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
