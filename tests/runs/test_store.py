"""The store: nothing lost, nothing twice, one winner, and no word from the past."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.runs.stores import SPEC, at_once, claimed
from transfer_core.errors import UserError
from transfer_core.runs import database
from transfer_core.runs import store as store_module
from transfer_core.runs.housekeeping import delete_run
from transfer_core.runs.store import OVER, RunStore, Superseded
from transfer_core.training.events import Noted


def test_a_run_comes_back_as_it_was_put_in(store: RunStore) -> None:
    spec = replace(SPEC, knobs={"strongest": 2.0}, device="cuda:1")
    run = store.add_run(spec, name="![x](http://a)", parent="beef")
    assert store.get(run.id) == run
    assert (run.spec, run.manifest, run.device, run.name) == (spec, spec.manifest, "cuda:1", "![x](http://a)")
    assert (run.state, run.attempt, run.parent, run.result) == ("queued", 0, "beef", None)
    assert RunStore(store.home).runs() == [run], "a second store on the same home sees it"


def test_eight_stores_may_be_made_at_once(home: Path) -> None:
    stores = at_once(8, lambda _: RunStore(home))
    run = stores[0].add_run(SPEC)
    assert all(each.get(run.id) == run for each in stores)


def test_five_clicks_make_one_run(store: RunStore) -> None:
    runs = at_once(5, lambda _: store.add_run(SPEC, token="click"))
    assert len({run.id for run in runs}) == 1
    assert len(store.runs()) == 1
    assert store.add_run(SPEC).id != store.add_run(SPEC).id, "on purpose, the same again is another run"


def test_many_claimers_one_winner(store: RunStore) -> None:
    for _ in range(5):
        run = store.add_run(SPEC)
        winners = [each for each in at_once(8, lambda _, run=run: store.claim(run.id)) if each]
        assert [(each.id, each.state, each.attempt) for each in winners] == [(run.id, "running", 1)]
        store.finish(run.id, 1, "done")


CLAIM = """
import sys
from pathlib import Path
from transfer_core.runs.store import RunStore
store = RunStore(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
print(sum(store.claim(run) is not None for run in sys.argv[2:]))
"""


def test_claimers_in_other_processes_share_fairly(store: RunStore) -> None:
    """Ten runs, each on a device of its own: claimed exactly once between three processes."""
    runs = [store.add_run(replace(SPEC, device=f"cuda:{number}")).id for number in range(10)]
    command = [sys.executable, "-c", CLAIM, str(store.home), *runs]
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    said = [child.communicate("go\n")[0] for child in children]
    assert sum(map(int, said)) == 10
    assert all(run.attempt == 1 and run.state == "running" for run in store.runs())


def test_one_active_run_per_device(store: RunStore) -> None:
    runs = [store.add_run(SPEC) for _ in range(8)]
    winners = [run for run in at_once(8, lambda number: store.claim(runs[number].id)) if run]
    assert len(winners) == 1
    store.request_stop(winners[0].id)
    other = next(run for run in runs if run.id != winners[0].id)
    assert store.claim(other.id) is None, "stopping is active, too"
    assert store.claim(store.add_run(replace(SPEC, device="cuda:0")).id), "another device is free"
    store.finish(winners[0].id, 1, "stopped")
    assert store.claim(other.id)


def test_stop(store: RunStore) -> None:
    waiting = store.add_run(SPEC)
    store.request_stop(waiting.id)
    stopped = store.get(waiting.id)
    assert (stopped.state, stopped.is_over) == ("stopped", True)
    assert stopped.ended is not None
    assert store.claim(waiting.id) is None
    run = claimed(store, store.add_run(SPEC).id)
    assert not run.stop_requested
    for _ in range(2):
        store.request_stop(run.id)
        assert (store.get(run.id).state, store.get(run.id).stop_requested) == ("stopping", True)
    store.finish(run.id, 1, "stopped")
    store.request_stop(run.id)
    assert store.get(run.id).state == "stopped"
    store.requeue(run.id)
    assert not store.get(run.id).stop_requested


@pytest.mark.parametrize("state", ["queued", "running", "stopping", *OVER])
def test_only_what_ended_short_can_be_resumed(store: RunStore, state: str) -> None:
    run = store.add_run(SPEC)
    if state != "queued":
        claimed(store, run.id)
    if state == "stopping":
        store.request_stop(run.id)
    if state in OVER:
        store.finish(run.id, 1, state)
    if state in ("stopped", "failed", "lost"):
        assert store.requeue(run.id).state == "queued"
    else:
        with pytest.raises(UserError, match=f"is {state}: there is nothing to resume"):
            store.requeue(run.id)
        assert store.get(run.id).state == state


def test_a_worker_that_cannot_start_fails_only_what_still_waits(store: RunStore) -> None:
    run = store.add_run(SPEC)
    store.mark_unstartable(run.id)
    assert store.get(run.id).state == "failed"
    assert "output.log" in (store.get(run.id).error or "")
    running = claimed(store, store.add_run(SPEC).id)
    store.mark_unstartable(running.id)
    assert store.get(running.id) == running


def test_an_unknown_run_is_told_in_a_sentence(store: RunStore) -> None:
    store.add_run(SPEC)  # it has no name
    for ask in (store.get, store.find, store.requeue):
        for ref in ("", "no", "' OR 1=1 --", "%", "x" * 1000):
            with pytest.raises(UserError, match="There is no run"):
                ask(ref)
    assert store.claim("no") is None


def test_runs_are_found_by_id_beginning_or_name(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = iter(["aaaa11111111", "aaaa22222222", "bbbb00000000"])
    hexes = type("Hex", (), {"hex": property(lambda _: next(ids))})
    monkeypatch.setattr(store_module, "uuid", SimpleNamespace(uuid4=hexes))
    names = ("one", "two", "two")
    first, second, third = (store.add_run(SPEC, name=name, token=str(n)) for n, name in enumerate(names))
    assert store.find("aaaa1") == store.find("one") == store.find(first.id) == first
    assert store.find("bbb") == third
    with pytest.raises(UserError, match="There is no run 'bb'"):
        store.find("bb")
    with pytest.raises(UserError, match="could mean any of aaaa11111111, aaaa22222222"):
        store.find("aaaa")
    with pytest.raises(UserError, match="could mean any of"):
        store.find("two")
    store.rename(third.id, name=second.id, note="named like another's id")
    assert store.find(second.id) == second, "a whole id comes before a name"


def test_runs_are_listed_newest_first_by_state_and_data_set(store: RunStore) -> None:
    runs = [store.add_run(replace(SPEC, manifest=f"{number % 2}")) for number in range(4)]
    store.claim(runs[0].id)
    assert [each.id for each in store.runs()] == [each.id for each in reversed(runs)]
    assert [each.id for each in store.runs(states=["running", "done"])] == [runs[0].id]
    assert [each.id for each in store.runs(manifest="1")] == [runs[3].id, runs[1].id]


def test_a_deleted_run_takes_its_events_along(store: RunStore) -> None:
    gone, stays = store.add_run(SPEC), store.add_run(replace(SPEC, device="cuda:0"))
    for run in (gone, stays):
        claimed(store, run.id)
        store.add_events(run.id, 1, [Noted("a")])
    store.delete(gone.id)
    assert store.events(gone.id) == []
    assert len(store.events(stays.id)) == 1
    with pytest.raises(Superseded):
        store.add_events(gone.id, 1, [Noted("b")])


@pytest.mark.parametrize("overwrites", [True, False])
def test_nothing_of_a_deleted_run_can_be_read_in_the_home(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, overwrites: bool
) -> None:
    """Whether or not this build of SQLite overwrites what is deleted by itself."""
    connect = sqlite3.connect

    def plain(*args: Any, **how: Any) -> sqlite3.Connection:
        db = connect(*args, **how)
        db.execute(f"PRAGMA secure_delete = {int(overwrites)}")
        return db

    monkeypatch.setattr(sqlite3, "connect", plain)
    *kept, gone = [
        claimed(store, store.add_run(replace(SPEC, device=f"cuda:{n}"), name="kept").id) for n in range(4)
    ]
    for size in (1, 40, 2000):  # within a page, and beyond one
        for run in (gone, *kept):  # whose pages are split where others grow
            word = "Jane Doe" if run == gone else "kept"
            store.add_events(run.id, 1, [Noted(f"{word} {each} " * size) for each in range(9)])
            store.rename(run.id, name=word, note=f"{word}, ward 3")
    for run in (gone, *kept):
        store.finish(run.id, 1, "failed", error="Jane Doe it is" if run == gone else "why")

    def found() -> list[str]:
        return [
            each.name for each in store.home.rglob("*") if each.is_file() and b"Jane" in each.read_bytes()
        ]

    assert {"store.sqlite", "store.sqlite-journal"} <= set(found())
    with monkeypatch.context() as patch:
        patch.setattr(database, "free_bytes", lambda _: 0)
        delete_run(store, gone.id)
        assert "store.sqlite-journal" not in found()
    store.check()  # by now there is room
    assert found() == []
    assert store.path.with_name("store.sqlite-journal").stat().st_size >= database.ROOM, "for a full disk"
    assert {len(store.events(run.id)) for run in kept} == {27}
    store.delete(kept[0].id)
    store.scrub()
    before = store.path.read_bytes()
    store.check()
    assert store.path.read_bytes() == before, "nothing is left to do"


def test_a_full_disk_is_told_in_plain_words_and_loses_nothing(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = claimed(store, store.add_run(SPEC).id)
    store.add_events(run.id, 1, [Noted("before", 1)])
    real = sqlite3.connect

    def connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        db = real(*args, **kwargs)
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(
            f"PRAGMA max_page_count = {pages}"
        )  # what SQLite then says is what a full disk makes it say
        return db

    with monkeypatch.context() as patch:
        patch.setattr(store_module.sqlite3, "connect", connect)
        with pytest.raises(UserError, match=r"The disk that holds .* is full: free some space") as caught:
            store.add_events(run.id, 1, [Noted("x" * 4000, 2) for _ in range(50)])
    assert caught.value.kind == "disk-full"
    store.add_events(run.id, 1, [Noted("after", 2)])
    assert [event.text for _, _, event in store.events(run.id)] == ["before", "after"]  # type: ignore[union-attr]


def test_a_home_that_cannot_be_opened_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run store .* cannot be opened"):
        RunStore(tmp_path / "nowhere")
