"""The store for what ticks on a page: where another program locks it, it stands as it was seen last."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from copy import copy
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from transfer_core.errors import UserError
from transfer_core.runs.run import Run
from transfer_core.runs.store import RunStore
from transfer_core.training.events import Event

BRIEF = 0.25  # seconds that a look at the store may wait where another program locks it
AGAIN = 0.5  # seconds for which it is then not asked again: a tick asks many times
MOST = 500  # answers that are remembered
P = ParamSpec("P")
T = TypeVar("T")


class Glance(RunStore):
    """A store that is only looked at, and hardly waits: nothing may be decided or written by what it says.

    What it was never asked before raises UserError as in any locked store.
    """

    def __init__(self, home: Path) -> None:
        """Open the store, made if it is not there."""
        super().__init__(home, BRIEF)
        self._seen: dict[tuple[object, ...], Any] = {}
        self._refused: float | None = None  # when another program was last met, since nothing was read
        self._since: float | None = None  # when it was first met, since nothing was read

    @property
    def locked_for(self) -> float:
        """For how many seconds another program has kept it locked, as far as anybody looked; 0 where none does."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    def get(self, run: str) -> Run:
        """Return a run by its whole id."""
        return self._look(super().get, run)

    def runs(self, *, states: Iterable[str] = (), manifest: str | None = None) -> list[Run]:
        """Return runs as `RunStore.runs` does."""
        return self._look(super().runs, states=tuple(states), manifest=manifest)

    def events(self, run: str, after: int = 0, kinds: Iterable[str] = ()) -> list[tuple[int, float, Event]]:
        """Return events as `RunStore.events` does."""
        return self._look(super().events, run, after, tuple(kinds))

    def last_event(self, run: str, kind: str = "") -> tuple[int, float, Event] | None:
        """Return the newest event of a run, of a kind where asked."""
        return self._look(super().last_event, run, kind)

    def _look(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        asked = (read.__name__, args, tuple(kwargs.items()))
        busy: UserError | None = None
        if self._refused is None or time.monotonic() - self._refused > AGAIN or asked not in self._seen:
            try:
                found = read(*args, **kwargs)
            except UserError as error:
                if error.kind != "busy":
                    raise
                busy, self._refused = error, time.monotonic()
                self._since = self._since or self._refused
            else:
                self._refused = self._since = None
                if len(self._seen) >= MOST:
                    self._seen.clear()
                self._seen[asked] = found
        if asked not in self._seen:
            assert busy
            raise busy
        seen: T = self._seen[asked]
        return copy(seen)  # whoever asked may change it
