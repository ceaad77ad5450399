"""A damaged store is set aside and made again from what lies in the runs' folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.runs.stores import SPEC, at_once, claimed
from transfer_core.errors import UserError
from transfer_core.files import ASIDE
from transfer_core.runs.housekeeping import delete_run
from transfer_core.runs.records import RECORD, notices
from transfer_core.runs.run import Run
from transfer_core.runs.store import RunStore
from transfer_core.training.events import EpochEnded, Noted, Stepped

ENDED = EpochEnded(1, 3, {"loss": 0.5}, {"loss": 0.4, "accuracy": 0.9}, 0.1, 2.0, True)


def fill(store: RunStore) -> list[Run]:
    """One run of every state, with names, notes, results and events."""
    for number, state in enumerate(["done", "failed", "lost", "stopped"]):
        run = claimed(store, store.add_run(SPEC, name=f"run {number}", parent="beef" if number else None).id)
        store.add_events(run.id, 1, [Noted("begun"), Stepped(1, 1, 9, 0.7, 10.0), replace(ENDED)])
        store.rename(run.id, note="what for")
        result = {"test": {"accuracy": 0.8}, "best_epoch": 1} if state == "done" else None
        store.finish(run.id, 1, state, error=None if result else "why", best=0.9, result=result)
    store.add_run(SPEC, token="optimism-1")
    running = claimed(store, store.add_run(replace(SPEC, device="cuda:0")).id)
    store.request_stop(running.id)
    return store.runs()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:9000])


def spoil(path: Path) -> None:
    path.write_bytes(b"no database at all" * 500)


def spoil_inside(path: Path) -> None:
    """All but the first page, which holds the tables' definitions."""
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\x5a" * (len(data) - 4096))


@pytest.mark.parametrize("harm", [cut, spoil, spoil_inside, lambda path: path.write_bytes(b""), Path.unlink])
def test_a_damaged_store_is_made_again_and_kept_aside(store: RunStore, harm: Callable[[Path], None]) -> None:
    runs = fill(store)
    told = {run.id: store.events(run.id, kinds=["Noted", "EpochEnded"]) for run in runs if run.is_over}
    harm(store.path)
    damaged = store.path.read_bytes() if store.path.exists() else b""
    RunStore(store.home).check()
    assert [replace(run, beat=0) for run in store.runs()] == [replace(run, beat=0) for run in runs]
    assert {run: store.events(run, kinds=["Noted", "EpochEnded"]) for run in told} == told
    aside = [each for each in store.home.glob(f"*{ASIDE}*") if not each.name.endswith("journal")]
    assert [each.read_bytes() for each in aside] == [damaged]
    assert [str(each) in text for each, text in zip(aside, notices(store.home), strict=True)] == [True] * len(
        aside
    )
    RunStore(store.home).check()
    assert len(list(store.home.glob(f"*{ASIDE}*"))) <= 2, "a whole store is left as it is"


@pytest.mark.parametrize("harm", [spoil, lambda path: path.write_bytes(b"")])
def test_one_that_is_damaged_while_it_is_used_is_mended_once_by_whoever_meets_it(
    store: RunStore, harm: Callable[[Path], None]
) -> None:
    runs = fill(store)
    harm(store.path)

    def look(_: int) -> None:
        try:
            store.runs()
        except UserError as error:
            assert error.kind == "damaged-store"  # noqa: PT017 - not all of them need to meet it
            assert "has been made again" in str(error)  # noqa: PT017

    at_once(6, look)
    assert {run.id for run in store.runs()} == {run.id for run in runs}
    assert len(notices(store.home)) == 1
    assert claimed(store, next(run.id for run in runs if run.state == "queued")).attempt == 1


def test_what_was_deleted_does_not_come_back_and_what_is_damaged_itself_stays_out(store: RunStore) -> None:
    runs = {run.name: run for run in fill(store)}
    delete_run(store, runs["run 0"].id)
    (store.folder(runs["run 1"].id) / RECORD).write_text('{"id": ')
    spoil(store.path)
    assert {run.name for run in RunStore(store.home).runs()} == {"run 2", "run 3", ""}
    assert store.folder(runs["run 1"].id).exists()


def test_runs_of_an_earlier_version_get_their_record_when_a_server_starts(store: RunStore) -> None:
    runs = fill(store)
    shutil.rmtree(store.home / "runs")
    store.check()
    store.path.unlink()
    assert {run.id for run in RunStore(store.home).runs()} == {run.id for run in runs}


HALF = """
import os, signal, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode = PERSIST")
db.execute("PRAGMA cache_size = 1")  # so that the file is changed before the end
db.execute("BEGIN IMMEDIATE")
db.execute("UPDATE runs SET name = 'half', note = ?", ("x" * 100_000,))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_a_killed_transaction_is_taken_back_and_is_no_damage(store: RunStore) -> None:
    runs = fill(store)
    before = store.path.read_bytes()
    subprocess.run([sys.executable, "-c", HALF, str(store.path)], check=False)
    journal = store.path.with_name("store.sqlite-journal")
    half = journal.read_bytes()
    assert store.path.read_bytes() != before
    RunStore(store.home).check()
    assert (store.runs(), notices(store.home)) == (runs, [])
    # And where the store is damaged, what its journal holds is not laid over the new one.
    journal.write_bytes(half)
    spoil(store.path)
    store.check()
    assert [run.name for run in store.runs()] == [run.name for run in runs]
    assert len(notices(store.home)) == 1
