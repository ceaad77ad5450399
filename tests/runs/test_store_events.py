"""Events in the store: in order, none twice, all or none; an older attempt writes nothing."""

from __future__ import annotations

import math
import threading
from dataclasses import replace
from typing import Any

import pytest

from tests.runs.stores import SPEC, at_once, claimed
from transfer_core.runs.store import RunStore, Superseded
from transfer_core.training.events import Ended, EpochEnded, Noted, Progressed, Saving


def test_events_come_back_in_order_none_twice_while_others_read_and_write(store: RunStore) -> None:
    run = claimed(store, store.add_run(SPEC).id)
    seen: list[list[tuple[int, float, Any]]] = [[] for _ in range(4)]
    over = threading.Event()

    def read(mine: list[tuple[int, float, Any]]) -> None:
        while True:
            last_look = over.is_set()
            mine += store.events(run.id, after=mine[-1][0] if mine else 0)
            if last_look:
                return

    def act(number: int) -> None:
        if number < 4:
            read(seen[number])
            return
        for start in range(0, 120, 3):
            store.add_events(run.id, 1, [Noted(str(each), each) for each in range(start, start + 3)])
        over.set()

    at_once(5, act)
    for mine in seen:
        assert [event.text for _, _, event in mine] == [str(each) for each in range(120)]
        assert [seq for seq, _, _ in mine] == list(range(1, 121))
    assert store.last_event(run.id) == seen[0][-1]
    assert store.events(run.id, after=118) == seen[0][-2:]


def test_events_are_added_all_or_none(store: RunStore) -> None:
    run = claimed(store, store.add_run(SPEC).id)

    def events() -> Any:
        yield Noted("a")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.add_events(run.id, 1, events())
    assert store.events(run.id) == []
    assert store.last_event(run.id) is None


def test_kinds_are_chosen_and_numbers_that_json_lacks_become_none(store: RunStore) -> None:
    run = claimed(store, store.add_run(SPEC).id)
    end = EpochEnded(1, 9, {"loss": math.nan}, {"loss": math.inf, "accuracy": 0.5}, 1e-3, 2.0, False)
    store.add_events(run.id, 1, [Noted("a"), end, Saving(1)])
    ((seq, _, event),) = store.events(run.id, kinds=["EpochEnded"])
    assert seq == 2
    assert event == replace(end, train={"loss": None}, val={"loss": None, "accuracy": 0.5})


def test_a_resumed_run_forgets_what_it_will_tell_again(store: RunStore) -> None:
    run = claimed(store, store.add_run(SPEC).id)
    told = [
        Progressed("Loading", 0, 1),
        Noted("one", 1),
        Noted("two", 2),
        Noted("three", 3),
        Ended("early", 1, 1),
    ]
    store.add_events(run.id, 1, told)
    store.drop_events_after(run.id, 1, 1)
    assert [event for _, _, event in store.events(run.id)] == told[:2]
    store.add_events(run.id, 1, [Noted("again", 2)])
    assert [seq for seq, _, _ in store.events(run.id)] == [1, 2, 3]


def test_an_older_attempt_cannot_write(store: RunStore) -> None:
    run = claimed(store, store.add_run(SPEC).id)
    store.beat(run.id, 1)
    assert store.get(run.id).beat == 1
    assert store.mark_lost(run.id, 1, 1)
    lost = store.get(run.id)

    def refused() -> None:
        before = store.get(run.id), store.events(run.id)
        for write in (
            lambda: store.beat(run.id, 1),
            lambda: store.add_events(run.id, 1, [Noted("from the grave")]),
            lambda: store.drop_events_after(run.id, 1, 0),
            lambda: store.finish(run.id, 1, "done", result={}),
        ):
            with pytest.raises(Superseded):
                write()
        assert (store.get(run.id), store.events(run.id)) == before

    refused()  # lost, and nobody has taken over yet
    store.requeue(run.id)
    refused()
    assert claimed(store, run.id).attempt == 2
    refused()
    store.beat(run.id, 2)
    store.finish(run.id, 2, "done")
    refused()
    assert lost.error is not None
    assert "without a word" in lost.error


def test_a_heart_that_moved_meanwhile_is_not_lost(store: RunStore) -> None:
    run = claimed(store, store.add_run(SPEC).id)
    store.beat(run.id, 1)
    assert not store.mark_lost(run.id, 1, 0)
    assert not store.mark_lost(run.id, 2, 1)
    assert store.get(run.id).state == "running"


def test_a_new_attempt_starts_without_the_figures_of_the_old(store: RunStore) -> None:
    """Its checkpoints replace the weights that the old figures speak of."""
    run = claimed(store, store.add_run(SPEC).id)
    store.finish(run.id, 1, "stopped", best=0.5, result={"best_epoch": 3})
    assert store.requeue(run.id).result == {"best_epoch": 3}, "still true while it waits"
    again = claimed(store, run.id)
    assert (again.result, again.best, again.error, again.ended) == (None, None, None, None)
