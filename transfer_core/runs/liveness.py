"""Is the worker behind a run alive? Judged without clocks that jump, pids that return, or trust.

A worker holds an operating-system lock of its attempt for life and raises a counter every second. A
free lock means it is dead, whatever killed it. A counter that stands still for 15 seconds of the
watcher's own monotonic clock means that it hangs; should it wake up again, the store refuses its
attempt number.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from transfer_core.errors import UserError
from transfer_core.files import plain_words
from transfer_core.runs.store import ACTIVE, Run, RunStore

PATIENCE = 15.0  # seconds
WORKER = "transfer_core.runs.worker"  # the module that a worker's command line names
ENDING = 10.0  # seconds that a killed process may take to let go of its lock
GRACE = 2.0  # seconds in which a worker that has just claimed takes its lock


def lock_path(folder: Path, attempt: int) -> Path:
    """Return the lock that the worker of an attempt holds while it lives."""
    return folder / f"attempt-{attempt}.lock"


def is_lock_free(path: Path) -> bool:
    """Tell whether a lock file is there and nobody holds it: its process is dead."""
    if not path.exists():
        return False
    lock = FileLock(path, blocking=False)
    try:
        with plain_words(path):
            lock.acquire()
    except Timeout:
        return False
    lock.release()
    return True


def end_earlier(folder: Path, run: Run) -> None:
    """End workers of earlier attempts at a run that still live; UserError where one cannot be ended.

    One that was stopped, or hung, might else wake up in the middle of a write into the folder. Only while the lock of
    an attempt is held is there such a process.
    """
    for attempt in range(1, run.attempt):
        path = lock_path(folder, attempt)
        if not path.exists() or is_lock_free(path):
            continue
        for process in psutil.process_iter(["cmdline"]):
            told = process.info["cmdline"] or []
            if WORKER in told and run.id in told and process.pid != os.getpid():
                with suppress(psutil.Error):
                    process.kill()
        try:
            with FileLock(path, timeout=ENDING):
                pass
        except Timeout:
            message = "An earlier training process of this run still lives and cannot be ended: end it, then resume the run."
            raise UserError(message, "active") from None


class Watcher:
    """Remembers when each run's heart was last seen to move."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}

    def sweep(self, store: RunStore) -> list[str]:
        """Mark runs whose worker is dead or hangs as lost; return their ids.

        While the store cannot be read or written, no heart can beat: then each gets the whole patience again.
        """
        try:
            return self._sweep(store)
        except UserError:
            self.excuse()
            return []

    def excuse(self) -> None:
        """Give every run the whole patience again, because its heart could not beat."""
        self._seen.clear()

    def _sweep(self, store: RunStore) -> list[str]:
        active = store.runs(states=ACTIVE)
        self._seen = {run.id: self._seen[run.id] for run in active if run.id in self._seen}
        lost = []
        for run in active:
            still = self.standstill(run)
            # Between claim and first beat the lock's file may be there and its lock not taken yet.
            dead = (run.beat > 0 or still > GRACE) and is_lock_free(
                lock_path(store.folder(run.id), run.attempt)
            )
            if (dead or still > PATIENCE) and store.mark_lost(run.id, run.attempt, run.beat):
                lost.append(run.id)
        return lost

    def standstill(self, run: Run) -> float:
        """Return for how many seconds this watcher has seen the run's heart stand still."""
        now, pulse = self._clock(), (run.attempt, run.beat)
        known = self._seen.get(run.id)
        if known is None or known[0] != pulse:
            self._seen[run.id] = (pulse, now)
            return 0.0
        return now - known[1]
