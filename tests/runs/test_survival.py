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
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from sample_data.shapes import draw_shapes
from tests.runs.workers import LONGEST, Site
from tests.support import candidates
from transfer_core.data.ingest import ingest
from transfer_core.data.library import Library
from transfer_core.runs.dispatch import dispatch, reconcile
from transfer_core.runs.executors import InProcessExecutor
from transfer_core.runs.liveness import PATIENCE, Watcher
from transfer_core.runs.store import Run
from transfer_core.training.events import EpochEnded, Event, PhaseStarted, Progressed, Saving

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")]


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
