"""Real workers, really killed: what comes out is what would have come out anyway."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from sample_data.shapes import draw_shapes
from tests.support import candidates, without_times
from transfer_core.data.ingest import ingest
from transfer_core.data.library import Library
from transfer_core.data.split import make_split
from transfer_core.runs.dispatch import dispatch, reconcile
from transfer_core.runs.executors import InProcessExecutor, SubprocessExecutor
from transfer_core.runs.liveness import PATIENCE, Watcher
from transfer_core.runs.store import Run, RunStore
from transfer_core.training.events import EpochEnded, Event, PhaseStarted, Progressed, Saving
from transfer_core.training.rules import make_spec
from transfer_core.training.spec import RunSpec

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")]
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
            "weights": best.read_bytes(),
            "told": without_times([event for _, _, event in self.store.events(run.id)]),
        }

    def close(self) -> None:
        for worker in self.workers():
            worker.kill()
            self.gone(worker)
        for popen in self.executor._workers.values():
            popen.wait()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("data")
    classes = ("disc-solid", "cross-outline", "star-dotted")
    ingest(candidates(draw_shapes(60, size=48, classes=classes)), "Shapes", Library(home))
    return home


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Workers share the machine with the tests; a second thread would mostly wait for the first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture
def site(home: Path, data: Path) -> Iterator[Site]:
    shutil.copytree(data, home, dirs_exist_ok=True)
    found = Site(home)
    yield found
    found.close()


STARTER = """
import json, sys, time
from pathlib import Path
from transfer_core.runs.dispatch import dispatch
from transfer_core.runs.executors import SubprocessExecutor
from transfer_core.runs.store import RunStore
from transfer_core.training.spec import RunSpec
store, executor = RunStore(Path(sys.argv[1])), SubprocessExecutor()
for spec in json.loads(sys.argv[2]):
    print(store.add_run(RunSpec.from_json(spec)).id, flush=True)
dispatch(store, executor)
print("started", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def undisturbed(
    data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, dict[str, Run]]]:
    """One run of each strategy, both queued by a process that is killed as soon as the first has begun."""
    home = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(data, home, dirs_exist_ok=True)
    site = Site(home)
    specs = [site.spec(strategy) for strategy in ("fine_tuning", "feature_extraction")]
    command = [sys.executable, "-c", STARTER, str(home), json.dumps([each.to_json() for each in specs])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as starter:
        assert starter.stdout is not None
        ids = [starter.stdout.readline().strip() for _ in specs]
        assert starter.stdout.readline() == "started\n"
        runs = [site.store.get(each) for each in ids]
        site.wait(runs[0], lambda run: run.state == "running")
        os.killpg(starter.pid, signal.SIGKILL)
    try:
        for run in runs:
            site.wait_until_over(run)
        yield site, {run.spec.strategy: run for run in runs}
    finally:
        site.close()


def test_a_worker_outlives_its_starter_and_starts_what_waits(
    undisturbed: tuple[Site, dict[str, Run]],
) -> None:
    """Two runs on one device: one after the other, with nobody left to look after them."""
    site, runs = undisturbed
    first, second = (site.store.get(runs[name].id) for name in ("fine_tuning", "feature_extraction"))
    assert [first.state, second.state] == ["done", "done"], site.log(first) + site.log(second)
    assert first.ended is not None
    assert second.started is not None
    assert second.started >= first.ended
    assert (first.attempt, second.attempt) == (1, 1)
    assert not Watcher().sweep(site.store)


@pytest.mark.parametrize(
    ("strategy", "kinds"), [("fine_tuning", [Progressed, Saving]), ("feature_extraction", [Saving])]
)
def test_a_killed_run_is_lost_and_resumes_to_the_same_result(
    site: Site,
    undisturbed: tuple[Site, dict[str, Run]],
    strategy: str,
    kinds: list[type[Event]],
) -> None:
    """Killed while activations are computed, and again just as a checkpoint is written."""
    other, runs = undisturbed
    run = site.start(site.spec(strategy))
    for attempt, kind in enumerate(kinds, start=1):
        site.wait_for(run, kind, site.last_seq(run), doing="Computing")
        site.kill(run)
        site.sweep_until_lost(run)
        assert site.store.get(run.id).attempt == attempt
        site.resume(run)
    assert site.wait_until_over(run).state == "done", (site.store.get(run.id), site.log(run))
    assert run.spec == runs[strategy].spec
    assert site.outcome(run) == other.outcome(runs[strategy])


def test_stopped_then_hung_then_woken_is_still_the_same_run(
    site: Site, undisturbed: tuple[Site, dict[str, Run]]
) -> None:
    other, runs = undisturbed
    run = site.start(site.spec("fine_tuning"))
    site.wait_for(run, EpochEnded)
    site.store.request_stop(run.id)
    stopped = site.wait_until_over(run)
    assert (stopped.state, stopped.error) == ("stopped", None)
    assert stopped.result is not None
    assert stopped.result["reason"] == "stopped"
    assert 0 < stopped.result["epoch"] < 40

    before = site.last_seq(run)
    site.resume(run)
    site.wait_for(run, PhaseStarted, before)
    (hung,) = (each for each in site.workers(run) if each.status() != psutil.STATUS_ZOMBIE)
    stop_outside_a_transaction(hung, site.store.path)
    clock = iter([0.0, PATIENCE, PATIENCE + 1])
    watcher = Watcher(lambda: next(clock))
    assert [watcher.sweep(site.store) for _ in range(3)] == [[], [], [run.id]]

    site.resume(run)  # the hung worker is still there
    site.wait(run, lambda found: found.attempt == 3)
    hung.send_signal(signal.SIGCONT)
    site.gone(hung)
    assert site.wait_until_over(run).state == "done", (site.store.get(run.id), site.log(run))
    assert site.outcome(run) == other.outcome(runs["fine_tuning"])


def stop_outside_a_transaction(worker: psutil.Process, store: Path) -> None:
    """Make a process stand still at a moment at which it does not hold the store."""
    while True:
        worker.send_signal(signal.SIGSTOP)
        db = sqlite3.connect(store, timeout=0.2, isolation_level=None)
        try:
            db.execute("BEGIN EXCLUSIVE")
            db.execute("ROLLBACK")
            return
        except sqlite3.OperationalError:
            worker.send_signal(signal.SIGCONT)
            time.sleep(0.1)
        finally:
            db.close()


def test_a_worker_that_cannot_start_fails_in_a_sentence_and_may_be_tried_again(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "filelock.py").write_text("raise ImportError('this installation is broken')")
    with monkeypatch.context() as broken:
        broken.syspath_prepend(tmp_path)
        run = site.start(site.spec("feature_extraction"))
    until = time.monotonic() + LONGEST
    while (found := site.store.get(run.id)).state == "queued":
        assert time.monotonic() < until
        reconcile(site.store, site.executor, Watcher())
        time.sleep(0.05)
    assert found.state == "failed"
    assert found.error == "The training process could not start: see output.log in the run's folder."
    assert "this installation is broken" in site.log(run)
    site.resume(run)
    site.wait(run, lambda found: found.state == "running")


def test_what_the_worker_cannot_do_is_told_in_a_sentence(site: Site) -> None:
    run = site.store.add_run(replace(site.spec("feature_extraction"), manifest="beef"))
    dispatch(site.store, InProcessExecutor())
    found = site.store.get(run.id)
    assert (found.state, found.result) == ("failed", None)
    assert found.error == "There is no data set 'beef'; see the list of data sets."
