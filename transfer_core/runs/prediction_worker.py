"""Works off predictions that somebody asked for: in a process of its own, or, of few images, in the warm helper.

    python -m transfer_core.runs.prediction_worker HOME

One process a home works off all that waits, the oldest first, and ends. It goes on where a killed one stood.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from transfer_core.errors import UserError
from transfer_core.evaluation.unknown import Familiar
from transfer_core.files import plain_words, sync_all, write_bytes
from transfer_core.runs.lab import Lab
from transfer_core.runs.predict_many import Found, Item, predict_many
from transfer_core.runs.prediction_job import SEEN_THROUGH, Job
from transfer_core.runs.prediction_jobs import TRIES, PredictionJobs, held

if TYPE_CHECKING:
    from transfer_core.runs.predictor import Predictor

GetPredictor = Callable[[str], "Predictor"]
TOLD_EVERY = 0.5  # seconds
HANDOVER = 5.0  # seconds in which the process before this one is waited for


def work(home: Path) -> None:
    """Work off what waits; return at once where another process does so already."""
    jobs = PredictionJobs(home)
    lock = FileLock(home / "predictions" / "worker.lock")
    try:
        lock.acquire(timeout=HANDOVER)  # the one before may be at its end, and have looked for the last time
    except Timeout:
        return
    try:
        tried: set[str] = set()
        load = _make_load(home)
        while waiting := [job for job in reversed(jobs.jobs()) if not job.is_over and job.id not in tried]:
            tried.add(waiting[0].id)
            work_off(home, waiting[0].id, load)
    finally:
        lock.release()


def _make_load(home: Path) -> GetPredictor:
    @lru_cache(maxsize=1)  # what waits is often for the same run
    def get(run: str) -> Predictor:
        from transfer_core.runs.predictor import Predictor

        lab = Lab(home)
        return Predictor(lab.store, lab.store.get(run))

    return get


def work_off(home: Path, ident: str, get_predictor: GetPredictor) -> None:
    """See one job through, from where it stands; return at once where it is over, or somebody else is at it."""
    jobs = PredictionJobs(home)
    with held(jobs.place(ident), 2.0) as free:
        if not free or (job := jobs.get(ident)).is_over:
            return
        job = replace(job, state="running", doing="Starting", tried=job.tried + 1, left=None)
        jobs.write(job)
        try:
            if job.tried > TRIES:
                raise UserError(
                    f"Looking at them was cut off {TRIES} times in a row without getting further. The images are kept: "
                    "try again, or delete them and bring them in smaller parts."
                )
            job = _Work(home, jobs, job).run(get_predictor)
        except UserError as error:
            job = replace(jobs.get(ident), state="failed", error=str(error))
        except Exception as error:
            traceback.print_exc()
            text = f"It ended with an unexpected error ({type(error).__name__})."
            job = replace(jobs.get(ident), state="failed", error=text)
        sync_all()
        if job.state in SEEN_THROUGH:
            jobs.forget_files(ident)  # before anybody is told that it is over
        with suppress(UserError):  # a full disk, which was told already
            jobs.write(replace(job, doing="", left=None))


class _Work:
    """One job being worked off."""

    def __init__(self, home: Path, jobs: PredictionJobs, job: Job) -> None:
        self._lab, self._jobs, self._job = Lab(home), jobs, job
        self._place = jobs.place(job.id)
        self._told = 0.0

    def run(self, get_predictor: GetPredictor) -> Job:
        """Return the job as it is at its end."""
        if 0 < self._job.total <= self._job.done:  # whoever worked on it was killed after its last row
            return replace(self._job, state="done")
        if self._jobs.wants_stop(self._job.id):  # whoever worked on it was killed as it stopped
            return replace(self._job, state="stopped")
        predictor = get_predictor(self._job.run)
        familiar = self._familiar()
        rows = self._whole_rows()
        self._row = len(rows)
        start = json.loads(rows[-1])["n"] + 1 if rows else 0
        items: Sequence[Item] = self._jobs.items(self._job)
        problems = sum("problem" in json.loads(row) for row in rows)
        self._tell(doing="Looking", done=start, total=len(items), problems=problems)
        began = time.monotonic()
        for done, found in predict_many(predictor, items, familiar, start):
            self._write(found)
            problems += sum(bool(answer.problem) for answer, _ in found)
            took = time.monotonic() - began
            left = (len(items) - done) * took / (done - start) if took > 2 else None
            # The first step further is told at once: it is what the count of fruitless starts goes by.
            now = done == len(items) or self._job.tried > 0
            self._tell(done=done, problems=problems, left=left, tried=0, now=now)
            if self._jobs.wants_stop(self._job.id):
                return replace(self._job, state="stopped")
        return replace(self._job, state="done")

    def _familiar(self) -> Familiar | None:
        """Return what the run has learnt from; where that cannot be told, the job says why."""
        try:
            familiar = self._lab.familiar(self._lab.store.get(self._job.run))
        except UserError as error:
            self._tell(silent=str(error))
            return None
        self._tell(fitted_on=familiar.images)
        return familiar

    def _whole_rows(self) -> list[bytes]:
        """Return the rows that are there, of files of which all are; what a killed process left behind them is cut off."""
        path = self._place / "rows.jsonl"
        (self._place / "pictures").mkdir(exist_ok=True)
        if not path.exists():
            return []
        whole = list(takewhile(_is_row, path.read_bytes().split(b"\n")[:-1]))
        if (
            whole and self._job.done < json.loads(whole[-1])["n"] + 1
        ):  # of the last file a frame may be missing
            last = json.loads(whole[-1])["n"]
            whole = [row for row in whole if json.loads(row)["n"] < last]
        write_bytes(path, b"".join(row + b"\n" for row in whole))
        return whole

    def _write(self, found: Found) -> None:
        """Append answers, their pictures first."""
        with plain_words(self._place):
            for number, (_, picture) in enumerate(found, start=self._row):
                if picture:
                    self._jobs.picture(self._job.id, number).write_bytes(picture)
            lines = [json.dumps(answer.to_json(), ensure_ascii=False).encode() + b"\n" for answer, _ in found]
            with (self._place / "rows.jsonl").open("ab") as out:
                out.write(b"".join(lines))
        self._row += len(found)

    def _tell(self, *, now: bool = True, **changes: object) -> None:
        """Write down how far it is, a few times a second at most."""
        self._job = replace(self._job, **changes)  # type: ignore[arg-type]
        if now or time.monotonic() - self._told > TOLD_EVERY:
            self._jobs.write(self._job)
            self._told = time.monotonic()


def _is_row(line: bytes) -> bool:
    """Tell whether a line is whole: what stands behind a damaged one is looked at again."""
    try:
        return isinstance(json.loads(line)["n"], int)
    except (ValueError, TypeError, KeyError):
        return False


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(5)  # somebody may be waiting for a page
    work(Path(sys.argv[1]))
