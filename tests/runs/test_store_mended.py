"""A damaged store is set aside and made again from what lies in the runs' folders."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
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


def part(path: Path, index: str, change: str) -> None:
    """Change the tables behind an index's back, as a fault of the disk or of SQLite might."""

    def write(*statements: tuple[str, tuple[object, ...]]) -> None:
        db = sqlite3.connect(path)  # anew each time: a connection knows the indexes from its start
        db.execute("PRAGMA writable_schema = ON")
        for each in statements:
            db.execute(*each)
        db.commit()
        db.close()

    with closing(sqlite3.connect(path)) as db:
        row = db.execute("SELECT * FROM sqlite_master WHERE name = ?", (index,)).fetchone()
    write(("DELETE FROM sqlite_master WHERE name = ?", (index,)))
    write((change, ()))
    write(("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row))
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA quick_check").fetchall() == [("ok",)], "which it does not see"


@pytest.mark.parametrize(
    ("index", "change"),
    [
        ("events_by_kind", "UPDATE events SET kind = 'Noted' WHERE kind = 'Stepped'"),
        ("runs_by_age", "UPDATE runs SET created = created + 1e6 WHERE name = 'run 1'"),
        ("runs_by_age", "DELETE FROM runs WHERE name = 'run 2'"),
    ],
)
def test_an_index_that_contradicts_its_table_is_made_anew_and_nothing_is_lost(
    store: RunStore, index: str, change: str
) -> None:
    fill(store)
    part(store.path, index, change)
    with closing(sqlite3.connect(store.path)) as db:
        tables = [db.execute(f"SELECT * FROM {each} NOT INDEXED").fetchall() for each in ("runs", "events")]
        RunStore(store.home).check()
        for each in ("", "INDEXED BY events_by_kind"):
            assert {*db.execute(f"SELECT * FROM events {each} WHERE run > '' AND kind > ''")} == {*tables[1]}
        for each in ("", "INDEXED BY runs_by_age"):
            assert {*db.execute(f"SELECT * FROM runs {each} WHERE created > 0")} == {*tables[0]}
    assert list(store.home.glob(f"*{ASIDE}*")) == []


def test_an_index_that_leads_nowhere_is_made_anew_by_whoever_meets_it(store: RunStore) -> None:
    runs = fill(store)
    part(store.path, "runs_by_age", "DELETE FROM runs WHERE name = 'run 2'")
    with pytest.raises(UserError, match="mended: try again"):
        store.runs()
    assert {run.name for run in store.runs()} == {run.name for run in runs} - {"run 2"}
    assert notices(store.home) == []


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
            assert "has been mended: try again" in str(error)  # noqa: PT017

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
