"""A full disk, a locked store, a damaged checkpoint, a worker that wakes up: the run is told the truth, and goes on."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.runs.stores import SPEC, claimed
from tests.support import Lab as Bench
from tests.support import make_tiny
from transfer_core.errors import UserError
from transfer_core.runs import telling, worker
from transfer_core.runs.housekeeping import delete_run
from transfer_core.runs.lab import Lab
from transfer_core.runs.liveness import PATIENCE, Watcher, end_earlier, is_lock_free, lock_path
from transfer_core.runs.run import Run
from transfer_core.runs.store import RunStore
from transfer_core.training import checkpoint, setup
from transfer_core.training.events import Noted


@pytest.fixture
def run(lab: Bench, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of the tiny backbone that waits."""
    monkeypatch.setattr(setup, "find_weights", lambda *_: None)
    monkeypatch.setattr(setup, "load_backbone", lambda *_: make_tiny())
    monkeypatch.setattr(worker, "dispatch", lambda *_: None)
    monkeypatch.setattr(worker, "AGAIN", 0.01)
    return RunStore(lab.home).add_run(lab.spec(cut=2))


# -- a full disk ----------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if os.name == "nt" or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(place: Path) -> Path:
    """Take every byte that is free."""
    with (place / "filler").open("wb", buffering=0) as out:
        for size in (4096, 1):
            with suppress(OSError):
                while True:
                    out.write(bytes(size))
    return place / "filler"


def test_on_a_full_disk_all_can_be_read_noted_and_deleted(small_disk: Path) -> None:
    store = RunStore(small_disk)
    runs = [store.add_run(replace(SPEC, device=f"cuda:{number}"), name=str(number)) for number in range(3)]
    for each in runs:
        claimed(store, each.id)
        store.add_events(each.id, 1, [Noted("x" * 200, number) for number in range(300)])
    fill(small_disk)
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "more").write_bytes(b"more")
    lab = Lab(small_disk)  # a server's start, a command line
    lab.store.check()
    lab.look()
    assert {each.name for each in lab.store.runs()} == {"0", "1", "2"}
    lab.store.beat(runs[0].id, 1)
    for each in runs:
        lab.store.finish(each.id, 1, "failed", error=worker.FULL)
    for each in runs:
        assert lab.store.get(each.id).error == worker.FULL
        lab.store.delete(each.id)  # the row alone, whose going frees nothing that others see
    assert lab.store.runs() == []


def test_a_run_that_meets_a_full_disk_says_so_and_ends_done_when_there_is_room(
    lab: Bench, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint does not fit, the log does not, nor, at first, the end itself."""
    store = RunStore(lab.home)
    real, refused = RunStore.finish, []

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    def finish(self: RunStore, *args: Any, **told: Any) -> None:
        if len(refused) < 3:
            refused.append(told["error"])
            raise UserError("The disk is full.", "disk-full")
        real(self, *args, **told)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.torch, "save", full)
        patch.setattr(telling.traceback, "print_exc", full)
        patch.setattr(RunStore, "finish", finish)
        worker.work(lab.home, run.id)
    assert (store.get(run.id).state, store.get(run.id).error) == ("failed", worker.FULL)
    assert set(refused) == {worker.FULL}
    assert "full" in worker.FULL
    store.requeue(run.id)
    waits, connect = [], sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *args, **how: waits.append(how["timeout"]) or connect(*args, **how)
    )
    (lab.home / "timings.json").write_text('{"cpu/tiny": ')
    worker.work(lab.home, run.id)
    assert store.get(run.id).state == "done"
    # What training asks of the store waits as long as another program locks it; other connections are the test's.
    assert sum(each > 3600 for each in waits) > 5


def test_a_run_is_deleted_files_first(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk they make the room."""
    run = claimed(store, store.add_run(SPEC).id)
    store.finish(run.id, 1, "failed")
    there: list[bool] = []
    real = RunStore.delete

    def delete(self: RunStore, which: str) -> None:
        there.append(self.folder(which).exists())
        real(self, which)

    monkeypatch.setattr(RunStore, "delete", delete)
    delete_run(store, run.id)
    assert there == [False]


# -- a locked store -------------------------------------------------------------------------


def test_while_the_store_is_locked_a_page_says_so_and_no_run_is_taken_for_lost(store: RunStore) -> None:
    """Nobody looks at a wall clock: it is the watcher's that jumps."""
    run = claimed(store, store.add_run(SPEC).id)
    store.beat(run.id, 1)
    lab, now = Lab(store.home, patience=0.01), [0.0]
    lab.watcher = Watcher(lambda: now[0])
    lab.look()
    for how in ("EXCLUSIVE", "IMMEDIATE"):  # nothing can be read; nothing can be written
        other = sqlite3.connect(store.path, isolation_level=None)
        other.execute(f"BEGIN {how}")
        now[0] += PATIENCE + 1
        if how == "EXCLUSIVE":
            with pytest.raises(UserError, match=r"keeps .* locked: try again in a moment"):
                lab.store.runs()
        lab.look()
        other.execute("ROLLBACK")
        other.close()
        lab.look()
        assert store.get(run.id).state == "running", how
    now[0] += PATIENCE + 1
    lab.look()
    assert store.get(run.id).state == "lost", "one that does not beat although it could"


def test_a_watcher_never_waits_for_a_lock_that_the_heart_may_wait_for_too(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It might get it first, and take the heart for one that stands still."""
    run = claimed(store, store.add_run(SPEC).id)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    patient, waits, connect = RunStore(store.home, 0.01), [], sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *args, **how: waits.append(how["timeout"]) or connect(*args, **how)
    )
    with pytest.raises(UserError, match="locked"):
        patient.mark_lost(run.id, run.attempt, run.beat)
    assert waits == [0]
    other.close()
    assert patient.mark_lost(run.id, run.attempt, run.beat)


def test_a_worker_whose_home_is_gone_ends(store: RunStore) -> None:
    run = claimed(store, store.add_run(SPEC).id)
    store.path.rename(store.path.with_name("elsewhere"))
    worker._finish(store, run, ("done", None, None))
    assert not store.path.exists()


# -- a worker that wakes up -----------------------------------------------------------------

HOLD = """
import sys, time
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(300)
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGSTOP")
def test_a_stopped_worker_is_ended_before_the_next_attempt_touches_its_files(store: RunStore) -> None:
    runs = [claimed(store, store.add_run(replace(SPEC, device=f"cuda:{number}")).id) for number in (0, 1)]
    held = [lock_path(store.folder(each.id), 1) for each in runs]
    old = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path), "transfer_core.runs.worker", each.id],
            stdout=subprocess.PIPE,
        )
        for each, path in zip(runs, held, strict=True)
    ]
    try:
        for each in old:
            assert each.stdout is not None
            each.stdout.readline()
            each.send_signal(signal.SIGSTOP)
        end_earlier(store.folder(runs[0].id), replace(runs[0], attempt=2))
        assert is_lock_free(held[0])
        assert old[0].wait() == -signal.SIGKILL
        assert old[1].poll() is None, "another run's worker is left alone"
    finally:
        for each in old:
            each.kill()
            each.communicate()
