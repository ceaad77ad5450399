"""A locked store, seen at a glance: nobody waits, what was seen stays, and nothing is decided by it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.runs.stores import SPEC, claimed
from transfer_core.errors import UserError
from transfer_core.runs import glance as module
from transfer_core.runs.glance import BRIEF, Glance
from transfer_core.runs.lab import Lab
from transfer_core.runs.store import RunStore
from transfer_core.training.events import Noted


@contextmanager
def locked(store: RunStore) -> Iterator[None]:
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long each connection that is opened would wait."""
    found, connect = [], sqlite3.connect

    def note(*args: object, **how: object) -> sqlite3.Connection:
        found.append(how.get("timeout", -1.0))
        return connect(*args, **how)  # type: ignore[call-overload]

    monkeypatch.setattr(sqlite3, "connect", note)
    return found


def test_it_says_what_the_store_says_and_in_a_lock_what_it_said_last(
    store: RunStore, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = claimed(store, store.add_run(SPEC).id)
    store.add_events(run.id, 1, [Noted("one"), Noted("two")])
    glance = Glance(store.home)

    def look(each: RunStore) -> list[object]:
        return [
            each.get(run.id), each.runs(), each.runs(states=["running"]), each.runs(states=["done"]), each.events(run.id, 1),
            each.events(run.id, kinds=["Noted"]), each.last_event(run.id), each.last_event(run.id, "Stepped"),
        ]  # fmt: skip

    before = look(store)
    assert look(glance) == before
    assert glance.locked_for == 0
    seen = glance.runs()
    seen.clear()  # what somebody does with an answer is not in the next
    with locked(store):
        waits.clear()
        assert look(glance) == before
        assert waits == [BRIEF], "all of a tick waits once"
        assert 0 < glance.locked_for < 2
        with pytest.raises(UserError, match="locked: try again"):
            glance.get("another")
    monkeypatch.setattr(module, "AGAIN", 0.0)
    store.finish(run.id, 1, "done")
    assert look(glance) == look(store) != before
    assert glance.locked_for == 0
    with pytest.raises(UserError, match="no run"):
        glance.get("another")


def test_looking_after_runs_holds_nobody_up(store: RunStore, waits: list[float]) -> None:
    claimed(store, store.add_run(SPEC).id)
    lab = Lab(store.home, patience=60)
    with locked(store):
        waits.clear()
        began = time.monotonic()
        lab.look()
    assert time.monotonic() - began < 2
    assert set(waits) == {BRIEF}
    assert lab.store.with_patience(3.0).runs() == store.runs()
    waits.clear()
    lab.store.runs()
    assert waits == [60], "what acts waits as before"
