"""Who is dead, who hangs, who lives: judged by a lock and a counter, never by a wall clock or a pid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from transfer_core.runs.liveness import GRACE, PATIENCE, Watcher, is_lock_free, lock_path
from transfer_core.runs.store import Run, RunStore
from transfer_core.training.spec import RunSpec

HOLD = """
import sys, time
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(300)
"""


class Clock:
    """A monotonic clock that goes when told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(home: Path) -> RunStore:
    return RunStore(home)


@pytest.fixture
def run(store: RunStore) -> Run:
    """A run that has been claimed and whose heart has beaten once."""
    claimed = store.claim(store.add_run(RunSpec("0123", "4567", cut=9)).id)
    assert claimed is not None
    store.folder(claimed.id).mkdir(parents=True, exist_ok=True)
    store.beat(claimed.id, 1)
    return store.get(claimed.id)


@pytest.fixture
def holder(store: RunStore, run: Run) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the run's lock as a worker does."""
    path = lock_path(store.folder(run.id), run.attempt)
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        yield child
        child.kill()


def test_a_killed_process_is_dead_at_once_even_as_a_zombie(
    store: RunStore, run: Run, holder: subprocess.Popen[str], clock: Clock
) -> None:
    watcher = Watcher(clock)
    assert watcher.sweep(store) == []
    holder.send_signal(signal.SIGKILL)
    # Not waited for: it stays a zombie whose pid still answers.
    while Path(f"/proc/{holder.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    os.kill(holder.pid, 0)
    assert watcher.sweep(store) == [run.id]
    assert store.get(run.id).state == "lost"
    assert watcher.sweep(store) == []


def test_a_beating_heart_is_never_lost(
    store: RunStore, run: Run, holder: subprocess.Popen[str], clock: Clock
) -> None:
    watcher = Watcher(clock)
    for _ in range(20):
        assert watcher.sweep(store) == []
        clock.now += PATIENCE
        store.beat(run.id, run.attempt)
    assert store.get(run.id).state == "running"


def test_a_heart_that_stands_still_is_lost_after_the_watchers_patience(
    store: RunStore, run: Run, holder: subprocess.Popen[str], clock: Clock
) -> None:
    watcher = Watcher(clock)
    clock.now += 1e6  # before the first look counts nothing
    assert watcher.sweep(store) == []
    clock.now += PATIENCE
    assert watcher.sweep(store) == []
    clock.now += 0.1
    assert Watcher(clock).sweep(store) == [], "a watcher that has just come gives it the whole time"
    assert watcher.sweep(store) == [run.id]


def test_wall_clock_jumps_do_not_matter(
    store: RunStore,
    run: Run,
    holder: subprocess.Popen[str],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watcher = Watcher(clock)
    for jump in (0, 86_400, -86_400, 1e9):
        with monkeypatch.context() as patch:
            now = time.time() + jump
            patch.setattr(time, "time", lambda now=now: now)
            assert watcher.sweep(store) == []
        clock.now += 1


def test_a_resumed_run_gets_the_whole_patience_again(store: RunStore, run: Run, clock: Clock) -> None:
    watcher = Watcher(clock)
    with FileLock(lock_path(store.folder(run.id), 1)):
        assert watcher.sweep(store) == []
        clock.now += PATIENCE + 1
        assert watcher.sweep(store) == [run.id]
    store.requeue(run.id)
    again = store.claim(run.id)
    assert again is not None
    with FileLock(lock_path(store.folder(run.id), 2)):
        store.beat(run.id, 2)  # the same number of beats as the attempt before
        assert watcher.sweep(store) == []
        clock.now += PATIENCE
        assert watcher.sweep(store) == []


def test_a_worker_that_has_just_claimed_has_a_moment_to_take_its_lock(store: RunStore, clock: Clock) -> None:
    claimed = store.claim(store.add_run(RunSpec("0123", "4567", cut=9)).id)
    assert claimed is not None
    path = lock_path(store.folder(claimed.id), 1)
    watcher = Watcher(clock)
    assert watcher.sweep(store) == [], "no lock yet"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert watcher.sweep(store) == [], "its file is there, and in the next instant it is taken"
    clock.now += GRACE + 0.1
    assert watcher.sweep(store) == [claimed.id], "it died in that instant"


def test_queued_and_finished_runs_are_left_alone(store: RunStore, run: Run, clock: Clock) -> None:
    waiting = store.add_run(RunSpec("0123", "4567", cut=9))
    store.finish(run.id, 1, "done")
    watcher = Watcher(clock)
    watcher.sweep(store)
    clock.now += 1000
    assert watcher.sweep(store) == []
    assert store.get(waiting.id).state == "queued"


def test_looking_at_a_lock_does_not_take_it(store: RunStore, run: Run, holder: subprocess.Popen[str]) -> None:
    path = lock_path(store.folder(run.id), run.attempt)
    assert not is_lock_free(path)
    holder.kill()
    holder.wait()
    assert is_lock_free(path)
    assert is_lock_free(path)
    assert not is_lock_free(path.with_name("none.lock"))
