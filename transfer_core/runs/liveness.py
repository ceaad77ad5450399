"""Is the worker behind a run alive? Judged without clocks that jump, pids that return, or trust.

A worker holds an operating-system lock of its attempt for life and raises a counter every second. A
free lock means it is dead, whatever killed it. A counter that stands still for 15 seconds of the
watcher's own monotonic clock means that it hangs; should it wake up again, the store refuses its
attempt number.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from transfer_core.files import plain_words
from transfer_core.runs.store import ACTIVE, Run, RunStore

PATIENCE = 15.0  # seconds
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


class Watcher:
    """Remembers when each run's heart was last seen to move."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[tuple[int, int], float]] = {}

    def sweep(self, store: RunStore) -> list[str]:
        """Mark runs whose worker is dead or hangs as lost; return their ids."""
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
