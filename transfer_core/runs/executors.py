"""Who turns a queued run into a working process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Protocol

# CREATE_NEW_PROCESS_GROUP | DETACHED_PROCESS; not tried on a real Windows machine
_WINDOWS_APART = 0x00000200 | 0x00000008


class Executor(Protocol):
    """Starts workers. What becomes of a run is read from the store, not from here."""

    def start(self, home: Path, run: str) -> None:
        """Start a worker for a queued run; starting twice is harmless, one of the two wins."""
        ...

    def is_busy(self, run: str) -> bool:
        """Tell whether a worker started here for this run still lives."""
        ...

    def could_not_start(self, run: str) -> bool:
        """Tell whether a worker started here for this run has ended with an error."""
        ...


class SubprocessExecutor:
    """A fresh interpreter in a session of its own: it outlives the server, Ctrl-C and `kill -9`."""

    def __init__(self) -> None:
        self._workers: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, home: Path, run: str) -> None:
        """Start `python -m transfer_core.runs.worker`; its output goes to the run's folder."""
        folder = home / "runs" / run
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "output.log").open("ab") as output:
            self._workers[run] = subprocess.Popen(
                [sys.executable, "-m", "transfer_core.runs.worker", str(home), run],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                close_fds=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
                start_new_session=os.name != "nt",
                creationflags=_WINDOWS_APART if os.name == "nt" else 0,
            )

    def is_busy(self, run: str) -> bool:
        """Tell whether the worker lives; asking also reaps a dead one."""
        return run in self._workers and self._workers[run].poll() is None

    def could_not_start(self, run: str) -> bool:
        """Tell whether the worker ended with an error."""
        return run in self._workers and bool(self._workers[run].poll())


class InProcessExecutor:
    """Runs the worker here and now; for tests."""

    def start(self, home: Path, run: str) -> None:
        """Work on the run until it is over."""
        from transfer_core.runs.worker import work

        work(home, run)

    def is_busy(self, run: str) -> bool:
        """Tell that nothing is left running."""
        return False

    def could_not_start(self, run: str) -> bool:
        """Tell that errors were raised already."""
        return False
