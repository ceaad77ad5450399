"""What a worker tells the store while it works: events, and that it lives."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from transfer_core.errors import UserError
from transfer_core.runs.database import DAMAGED
from transfer_core.runs.store import Run, RunStore, Superseded
from transfer_core.training.course import Course
from transfer_core.training.events import Ended, Event, Noted, PhaseStarted, Progressed, Provisional, Saving

FLUSH_EVERY = 1.0  # seconds that events may wait to be written together
T = TypeVar("T")


class Teller:
    """Writes events to the store, a few times a second, and at once where they must be safe."""

    def __init__(self, store: RunStore, run: Run) -> None:
        self._store, self._run = store, run
        self._waiting: list[Event] = []
        self.flushed = 0.0
        self.course: Course | None = None  # once it is known what the run consists of

    def tell(self, event: Event) -> None:
        """Take an event."""
        event = self.course.mark(event) if self.course else event
        self._waiting.append(event)
        urgent = isinstance(event, (PhaseStarted, Saving, Noted, Provisional, Ended)) and not _is_short(event)
        urgent |= isinstance(event, Progressed) and not event.done  # what begins may take long
        if urgent or time.monotonic() - self.flushed >= FLUSH_EVERY:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            waiting = self._waiting
            twice(lambda: self._store.add_events(self._run.id, self._run.attempt, waiting))
        self._waiting, self.flushed = [], time.monotonic()


def _is_short(event: Event) -> bool:
    """Tell whether a phase is one of many, as the points of a regularisation path are."""
    return isinstance(event, PhaseStarted) and event.number > 1


class Heart(threading.Thread):
    """Raises the run's counter every second; ends the process when another attempt took over."""

    def __init__(self, store: RunStore, run: Run, teller: Teller) -> None:
        super().__init__(daemon=True)
        self._store, self._run, self._teller, self._over = store, run, teller, threading.Event()
        self.is_last = False  # the end is being written: then there is nothing to beat for any more

    def run(self) -> None:
        """Beat until told to stop."""
        while not self._over.wait(1.0):
            if time.monotonic() - self._teller.flushed < 1.0:
                continue  # writing events has raised the counter just now
            try:
                self._store.beat(self._run.id, self._run.attempt)
            except Superseded:
                if self.is_last:
                    return
                os._exit(3)
            except Exception:  # a full disk or a locked store for a moment: the next beat may go through
                log_error()

    def stop(self) -> None:
        """Stop beating."""
        self._over.set()
        self.join()


def twice(do: Callable[[], T]) -> T:
    """Return what `do` returns; once more where it found the store damaged, which is mended then."""
    try:
        return do()
    except UserError as error:
        if error.kind != DAMAGED:
            raise
        return do()


def log_error() -> None:
    """Write what went wrong into the run's log, which a full disk may refuse."""
    with suppress(OSError):
        traceback.print_exc()
