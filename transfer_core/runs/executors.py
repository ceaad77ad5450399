"""Who turns a queued run into a working process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar, Protocol

from transfer_core.files import plain_words

# CREATE_NEW_PROCESS_GROUP | DETACHED_PROCESS; not tried on a real Windows machine
_WINDOWS_APART = 0x00000200 | 0x00000008


class Executor(Protocol):
    """Starts workers. What becomes of a run is read from the store, not from here."""

    def start(self, home: Path, run: str, attempt: int) -> None:
        """Start a worker for a queued run; starting twice is harmless, one of the two wins.

        `attempt` is the run's newest one so far: a worker that claims the run makes the next.
        """
        ...

    def is_busy(self, run: str, attempt: int) -> bool:
        """Tell whether a worker started here after this attempt still lives."""
        ...

    def could_not_start(self, run: str, attempt: int) -> bool:
        """Tell, once, whether a worker started here after this attempt has ended with an error."""
        ...


class SubprocessExecutor:
    """A fresh interpreter in a session of its own: it outlives the server, Ctrl-C and `kill -9`."""

    # One for the whole process: a worker outlives whoever started it, and its handle has to live as long.
    # By attempt, too: what became of an older worker says nothing of the one that resumes its run.
    _workers: ClassVar[dict[tuple[str, int], subprocess.Popen[bytes]]] = {}

    def start(self, home: Path, run: str, attempt: int) -> None:
        """Start `python -m transfer_core.runs.worker`; its output goes to the run's folder."""
        folder = home / "runs" / run
        with plain_words(folder):
            folder.mkdir(parents=True, exist_ok=True)
            output = (folder / "output.log").open("ab")
        with output:
            self._workers[run, attempt] = subprocess.Popen(
                [sys.executable, "-m", "transfer_core.runs.worker", str(home), run],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                close_fds=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
                start_new_session=os.name != "nt",
                creationflags=_WINDOWS_APART if os.name == "nt" else 0,
            )

    def is_busy(self, run: str, attempt: int) -> bool:
        """Tell whether the worker lives; asking also reaps the dead."""
        codes = {key: worker.poll() for key, worker in self._workers.items()}
        return (run, attempt) in codes and codes[run, attempt] is None

    def could_not_start(self, run: str, attempt: int) -> bool:
        """Tell whether the worker ended with an error, and forget it, so that resuming tries again."""
        worker = self._workers.get((run, attempt))
        if worker is None or not worker.poll():
            return False
        del self._workers[run, attempt]
        return True


class InProcessExecutor:
    """Runs the worker here and now; for tests."""

    def start(self, home: Path, run: str, attempt: int) -> None:
        """Work on the run until it is over."""
        from transfer_core.runs.worker import work

        work(home, run)

    def is_busy(self, run: str, attempt: int) -> bool:
        """Tell that nothing is left running."""
        return False

    def could_not_start(self, run: str, attempt: int) -> bool:
        """Tell that errors were raised already."""
        return False
