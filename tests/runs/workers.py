"""A home whose runs are trained by real workers, and what can be done to them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from safetensors.numpy import load_file

from tests.support import without_times
from transfer_core.data.library import Library
from transfer_core.data.split import make_split
from transfer_core.runs.dispatch import dispatch
from transfer_core.runs.executors import SubprocessExecutor
from transfer_core.runs.liveness import Watcher
from transfer_core.runs.store import Run, RunStore
from transfer_core.training.events import Event, Progressed
from transfer_core.training.rules import make_spec
from transfer_core.training.spec import RunSpec

LONGEST = 240  # seconds to wait for anything


class Site:
    """A home with data, whoever starts workers there, and means to do them harm."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store = RunStore(home)
        self.executor = SubprocessExecutor()

    def spec(self, strategy: str) -> RunSpec:
        library = Library(self.home)
        manifest = library.get(library.datasets()[0].id)
        split = library.add_split(make_split(manifest))
        wishes: dict[str, Any] = {"strategy": strategy, "device": "cpu", "patience": 0, "batch_size": 12}
        wishes |= {"cut": 8, "epochs": 40} if strategy == "fine_tuning" else {"epochs": 4}
        return make_spec(manifest, split, wishes)

    def start(self, spec: RunSpec) -> Run:
        run = self.store.add_run(spec)
        dispatch(self.store, self.executor)
        return run

    def resume(self, run: Run) -> None:
        self.store.requeue(run.id)
        dispatch(self.store, self.executor)

    def wait(self, run: Run, is_so: Callable[[Run], bool]) -> Run:
        """Look, as a page does, until something is so."""
        until = time.monotonic() + LONGEST
        while not is_so(found := self.store.get(run.id)):
            assert time.monotonic() < until, (found, self.log(run))
            assert found.state in ("queued", "running", "stopping"), (found, self.log(run))
            time.sleep(0.02)
        return found

    def wait_for(self, run: Run, kind: type[Event], after: int = 0, doing: str = "") -> None:
        """Look until an event of a kind has been told."""

        def is_told(found: Run) -> bool:
            told = [event for _, _, event in self.store.events(run.id, after, [kind.__name__])]
            return any(not isinstance(each, Progressed) or each.doing.startswith(doing) for each in told)

        self.wait(run, is_told)

    def wait_until_over(self, run: Run) -> Run:
        until = time.monotonic() + LONGEST
        while not (found := self.store.get(run.id)).is_over:
            assert time.monotonic() < until, (found, self.log(run))
            time.sleep(0.05)
        return found

    def last_seq(self, run: Run) -> int:
        last = self.store.last_event(run.id)
        return last[0] if last else 0

    def workers(self, run: Run | None = None) -> list[psutil.Process]:
        """The live worker processes of a run, or of all."""
        found = []
        for each in psutil.process_iter(["cmdline", "status"]):
            command = each.info["cmdline"] or []
            if "transfer_core.runs.worker" in command and str(self.home) in command:
                found += [each] if run is None or run.id in command else []
        return found

    def kill(self, run: Run) -> None:
        (worker,) = self.workers(run)
        worker.send_signal(signal.SIGKILL)
        self.gone(worker)

    def gone(self, worker: psutil.Process) -> None:
        """Wait until a process is dead or a zombie."""
        until = time.monotonic() + LONGEST
        while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < until
            time.sleep(0.02)

    def sweep_until_lost(self, run: Run) -> None:
        """Look until a killed run is lost; on the watcher's clock no time passes, so its lock must tell."""
        until = time.monotonic() + LONGEST
        watcher = Watcher(lambda: 0.0)
        while watcher.sweep(self.store) != [run.id]:  # a killed process takes a moment to let go of its files
            assert time.monotonic() < until
            time.sleep(0.05)
        assert self.store.get(run.id).state == "lost"

    def log(self, run: Run) -> str:
        path = self.store.folder(run.id) / "output.log"
        return path.read_text() if path.exists() else ""

    def outcome(self, run: Run) -> dict[str, Any]:
        """All that must not depend on what happened on the way."""
        found = self.store.get(run.id)
        assert found.result is not None, found
        folder = self.store.folder(run.id)
        with np.load(folder / "predictions.npz") as stored:
            predictions = {key: stored[key].tolist() for key in stored.files}
        (best,) = folder.glob("best-*.safetensors")
        keys = ("val", "test", "best_epoch", "epoch", "reason", "stored")
        return {
            "state": found.state,
            "figures": {key: found.result[key] for key in keys},
            "predictions": predictions,
            "weights": {name: each.tobytes() for name, each in load_file(best).items()},
            "told": without_times([event for _, _, event in self.store.events(run.id)]),
        }

    def close(self) -> None:
        for worker in self.workers():
            worker.kill()
            self.gone(worker)
        for popen in self.executor._workers.values():
            popen.wait()
