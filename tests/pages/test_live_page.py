"""The Live page of a run that waits, trains, was stopped, or failed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui import state, ticking
from pages.ui.saying import saying
from tests.pages.screens import Study, button, curves, follow, labels, link_of, show, words
from transfer_core.errors import UserError
from transfer_core.runs import glance
from transfer_core.runs.liveness import PATIENCE, Watcher
from transfer_core.runs.store import RunStore
from transfer_core.training.events import EpochEnded, PhaseStarted, Progressed, Provisional


def test_a_running_run_shows_how_far_it_is_and_stops(study: Study) -> None:
    run = study.running("mine")
    at = show("train/live.py", run=run.id)
    assert "Epoch 2 of 4" in words(at)
    assert "left" in words(at)
    assert [each.value for each in at.metric][1:] == ["321", "42 %", "0.9 GB"]
    assert "Best so far: epoch 2" in words(at)
    button(at, "Stop and keep the best").click().run()
    assert not at.exception
    assert study.store.get(run.id).state == "stopping"
    assert "Stop and keep the best" not in labels(at)
    assert "the best epoch is kept" in words(at)


def test_a_first_look_is_shown_until_there_is_a_result(study: Study) -> None:
    run = study.store.claim(study.queued("mine").id)
    assert run is not None
    going = Progressed("Computing the frozen part once", 1300, 2624, share=0.4, left=20.0)
    study.store.add_events(run.id, 1, [going, Provisional(0.78, 0.69, 0.855, 200, 1100)])
    at = show("train/live.py", run=run.id)
    assert "Computing the frozen part once (1,300 of 2,624) · about 20 s left in all" in words(at)
    said = "First look: 78.0 % right (95 % interval 69.0 to 85.5 %) on 1,100 validation images, after learning from 200."
    assert said in words(at)
    figures = {"loss": 0.5, "accuracy": 0.75}
    study.store.add_events(run.id, 1, [EpochEnded(1, 4, figures, figures, 1e-3, 2.0, best=True)])
    assert "First look" not in words(show("train/live.py", run=run.id))


def test_what_trains_on_a_damaged_split_can_be_stopped(study: Study) -> None:
    run = study.running("mine")
    (study.library.folder / run.manifest / "splits" / f"{run.spec.split}.json").write_text("{")
    at = show("train/live.py", run=run.id)
    button(at, "Stop and keep the best").click().run()
    assert study.store.get(run.id).state == "stopping"


def test_a_locked_store_is_said_by_a_click_and_by_what_ticks(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither has the page around it that says what goes wrong."""

    def locked(*_: object, **__: object) -> None:
        raise UserError("Another program keeps it locked: try again in a moment.", "busy")

    run = study.running("mine")
    at = show("train/live.py", run=run.id)
    with monkeypatch.context() as patch:
        patch.setattr(RunStore, "request_stop", locked)
        button(at, "Stop and keep the best").click().run()
        assert not at.exception
        assert "try again in a moment" in at.toast[0].value
    for where, page in (
        ("pages.ui.run_progress.standing", "train/live.py"),
        ("pages.ui.following.get_glance", "study/home.py"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(where, locked)
            at = show(page, run=run.id)
            assert not at.exception
            assert "try again in a moment" in words(at) + " ".join(each.value for each in at.warning)


def test_what_ticks_keeps_what_it_shows_while_another_program_locks_the_store(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And holds nobody up; where that lasts, it is said. No run is taken for lost whose heart could not beat."""
    run, waits = study.running("first"), study.queued("second")
    took: list[float] = []
    clock = [0.0]
    state.get_lab().watcher = Watcher(lambda: clock[0])

    def in_lock(draw: Callable[..., object]) -> Callable[..., None]:
        def drawn(*args: object, **how: object) -> None:
            with closing(sqlite3.connect(study.store.path, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                clock[0] += PATIENCE + 1
                began = time.monotonic()
                saying(draw)(*args, **how)
                took.append(time.monotonic() - began)

        return drawn

    def shown(at: AppTest) -> list[str]:
        told = [each for each in words(at).splitlines() if not each.endswith((" s", " ago"))]
        return [*told, *labels(at), str(curves(at)), str([each.value for each in at.metric][1:])]

    before = shown(show("train/live.py", run=run.id))
    with monkeypatch.context() as patch:
        patch.setattr("pages.ui.saying.saying", in_lock)
        assert shown(show("train/live.py", run=run.id)) == before
        patch.setattr(ticking, "LASTS", 0.0)
        at = show("train/live.py", run=run.id)
        assert "Another program has kept the list of runs locked for" in words(at)
        assert "not heard of" not in words(at)
        assert at.button(key=f"cancel-{waits.id}")
        assert max(took) < 3, "three waits of two seconds, once"
    monkeypatch.setattr(ticking, "LASTS", 0.0)
    monkeypatch.setattr(glance, "AGAIN", 0.0)
    study.store.request_stop(waits.id)
    at = show("train/live.py", run=run.id)
    assert "locked" not in words(at)
    assert study.store.get(run.id).state == "running"
    assert f"cancel-{waits.id}" not in [each.key for each in at.button]


@pytest.mark.parametrize(("choice", "left"), [("this run only", "queued"), ("both", "stopped")])
def test_stopping_asks_what_becomes_of_the_twin(study: Study, choice: str, left: str) -> None:
    source, target = study.manifest.domains
    study.choices = {"rule": "transfer", "train_domain": source, "test_domain": target}
    run = study.running(strategy="mcc")
    lacking = study.lab.needs_twin(run)
    assert lacking
    twin = study.store.add_run(lacking, name="source only", parent=run.id)
    at = show("train/live.py", run=run.id)
    assert "Stop and keep the best" not in labels(at), "a choice stands in its place"
    assert "source only** waits in the queue: the same run without adaptation" in words(at)
    button(at, f"Stop {choice}").click().run()
    assert not at.exception
    assert (study.store.get(run.id).state, study.store.get(twin.id).state) == ("stopping", left)


def test_each_network_of_a_run_begins_anew(study: Study) -> None:
    run = study.running(strategy="fine_tuning", cut=2, networks=3, epochs=4)
    at = show("train/live.py", run=run.id)
    for chart in curves(at):
        assert set(chart) == {"training", "validation"}
        for x, y in chart.values():
            assert x == [1, None, 2, None, 3, None, 4]
            assert [each is None for each in y] == [each is None for each in x]
    assert "Best so far: 3 networks together" in words(at)


def test_phases_are_parted_and_what_does_not_classify_has_no_accuracy(study: Study) -> None:
    run = study.store.claim(study.queued(strategy="autoencoder").id)
    assert run is not None
    val = {"loss": 0.7, "accuracy": 0.5}
    tuned = {"loss": 0.9, "cross-entropy": 0.6, "accuracy": 0.8}
    events = [
        PhaseStarted("pretraining", 1, 3, 6, 10, 0),
        EpochEnded(1, 3, {"loss": 1.5, "reconstruction": 1.5}, val, 1e-3, 1.0, best=False),
        PhaseStarted("fine-tuning, upper stages", 2, 3, 6, 10, 1),
        EpochEnded(2, 3, tuned, val, 1e-3, 2.0, best=True),
        PhaseStarted("fine-tuning, all stages", 3, 3, 6, 10, 1, continues=True),
        EpochEnded(3, 3, tuned, val, 1e-3, 3.0, best=False),
    ]
    study.store.add_events(run.id, run.attempt, events)
    at = show("train/live.py", run=run.id)
    loss, accuracy = curves(at)
    assert loss["training"] == ([1, None, 2, 3], [1.5, None, 0.6, 0.6]), (
        "of mistakes alone where there are others"
    )
    assert loss["validation"][1] == [None, None, 0.7, 0.7]
    assert accuracy["training"][1] == [None, None, 0.8, 0.8]
    assert "A gap parts the phases" in words(at)


def test_all_that_wait_can_be_cancelled_at_once(study: Study) -> None:
    run = study.running("first")
    waiting = [study.queued(f"waits {number}") for number in range(3)]
    at = show("train/live.py", run=run.id)
    at.button(key=f"cancel-{waiting[0].id}").click().run()
    assert [study.store.get(each.id).state for each in waiting] == ["stopped", "queued", "queued"]
    button(at, "Cancel all that wait").click().run()
    assert {study.store.get(each.id).state for each in waiting} == {"stopped"}
    assert study.store.get(run.id).state == "running"


def test_the_start_page_watches_the_run_that_trains(study: Study) -> None:
    run = study.queued("first")
    study.queued("its twin")
    assert "**first** waits, and starts by itself. 1 other" in words(show("study/home.py"))
    study.store.claim(run.id)
    at = show("study/home.py")
    assert "**first** is training. 1 other" in words(at)
    assert link_of(at, "run") == run.id  # where nobody chose, the sidebar chooses what trains
    follow(at, "Watch it", "train/live.py")
    assert link_of(at, "run") == run.id


def test_a_waiting_run_says_what_it_waits_for(study: Study) -> None:
    study.running("first")
    run = study.queued("second")
    at = show("train/live.py", run=run.id)
    assert "Waiting for 1 other run" in words(at)
    button(at, "Cancel").click().run()
    assert study.store.get(run.id).state == "stopped"


@pytest.mark.parametrize("state", ["stopped", "failed", "lost"])
def test_what_ended_early_can_go_on(study: Study, state: str) -> None:
    run = study.ended(state, "mine", result=False, error="It went wrong." if state == "failed" else None)
    at = show("train/live.py", run=run.id)
    if state == "lost":
        assert "ended without a word" in at.warning[0].value
    if state == "failed":
        assert "It went wrong" in at.error[0].value
    button(at, "Go on from the last checkpoint").click().run()
    assert study.store.get(run.id).state == "queued"
    assert study.started == [run.id] * len(study.started)


def test_a_run_that_diverged_keeps_the_report_of_before(study: Study) -> None:
    run = study.ended("failed", error="The loss stopped being a number after epoch 2.")
    at = show("train/live.py", run=run.id)
    assert "stopped being a number" in at.error[0].value
    button(at, "See the report").click().run()
    assert "unseen images" in words(at)
