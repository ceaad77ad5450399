"""Every page in every state a user can meet it in."""

from __future__ import annotations

from typing import Any

import pytest

from pages.ui.text import escape
from sample_data.shapes import draw_shapes
from tests.pages.screens import CALLS_OUT, PAGES, Study, bring, button, labels, marked_up, named, show, words

STATES = ("queued", "running", "stopping", "done", "stopped", "failed", "lost")


def make(study: Study, state: str, **choices: Any) -> Any:
    """A run in a state."""
    if state in ("queued", "running", "stopping"):
        return getattr(study, state)(**choices)
    return study.ended(state, result=state == "done", **choices)


@pytest.mark.parametrize(
    ("page", "says", "offers"),
    [
        ("study/home.py", "nothing leaves this machine", "Try it on solar cells"),
        ("study/data.py", "Nothing yet", "Try it on solar cells"),
        ("study/split.py", "There is no data set yet", "Bring images"),
        ("train/new_run.py", "There is no data set yet", "Bring images"),
        ("train/live.py", "Nothing is training yet", "Bring images"),
        ("results/runs.py", "Nothing yet", "Bring images"),
        ("results/report.py", "No run has a report yet", "Bring images"),
        ("results/explain.py", "no finished model yet", "Bring images"),
        ("results/compare.py", "Two finished runs are needed", "Bring images"),
        ("results/predict.py", "no finished model yet", "Bring images"),
        ("results/take_home.py", "no finished model yet", "Bring images"),
    ],
)
def test_nothing_there_is_said_and_mended(empty: Study, page: str, says: str, offers: str) -> None:
    at = show(page)
    assert says in words(at)
    if page not in ("study/home.py", "study/data.py"):  # where it is not installed there is a hint instead
        button(at, offers).click().run()
        assert not at.exception
        assert "Try it on solar cells" in words(at) or "There is no data set yet" in words(at)


def test_data_without_a_split(study: Study) -> None:
    at = show("study/home.py")
    for page in PAGES:
        show(page, at=at, data=study.manifest.id)
        if page == "study/data.py":
            assert [each.value for each in at.metric][:4] == ["60", "3", "2", "6"]
    show("train/new_run.py", at=at, data=study.manifest.id)
    assert "not yet decided which images" in words(at)
    button(at, "Choose the split").click().run()
    assert "What will it be tested on?" in words(at)


def test_split_without_a_run(study: Study) -> None:
    at = show("study/home.py")
    for page in PAGES:
        show(page, at=at, data=study.manifest.id, split=study.split().id)
        assert ("Start training" in labels(at)) == (page == "train/new_run.py")


@pytest.mark.parametrize("state", STATES)
def test_every_page_with_a_run_in_every_state(study: Study, state: str) -> None:
    run = make(study, state, name="the run")
    at = show("study/home.py")
    for page in PAGES:
        show(page, at=at, data=run.manifest, split=run.spec.split, run=run.id)
        assert not at.error
        if page in ("results/predict.py", "results/take_home.py", "results/report.py"):
            offered = {"Open it", "Watch it"} & set(labels(at))
            assert bool(offered) == (state != "done")


def test_no_worker_is_started_by_these_tests(study: Study) -> None:
    run = study.queued()
    show("train/live.py", run=run.id)
    assert run.id in study.started


def test_names_are_shown_letter_by_letter(empty: Study) -> None:
    drawings = draw_shapes(60, seed=3, size=32, classes=("disc-solid", "cross-outline", "star-dotted"))
    bring(empty.home, named(drawings, [CALLS_OUT, "<b>OK</b>", "=1+1"]), CALLS_OUT)
    first = empty.ended("failed", CALLS_OUT, error=f"{CALLS_OUT} went wrong")
    empty.ended(name="<b>OK</b>")
    empty.store.rename(first.id, note=CALLS_OUT)
    at = show("study/home.py")
    for page in PAGES:
        show(page, at=at, data=first.manifest, split=first.spec.split, run=first.id)
        assert CALLS_OUT not in marked_up(at), page
        assert "<b>OK" not in marked_up(at), page
        if page in ("study/data.py", "results/report.py"):
            assert escape(CALLS_OUT) in words(at)
        for curves in at.get("bidi_component"):
            assert "<b>OK" not in str(curves.proto)
        for chart in at.get("plotly_chart"):
            assert "<b>" not in chart.proto.spec


def test_notes_of_the_worker_are_shown_letter_by_letter(study: Study) -> None:
    run = study.running()
    study.note(run, CALLS_OUT)
    at = show("train/live.py", run=run.id)
    assert r"\!\[x\]" in words(at)
    assert CALLS_OUT not in marked_up(at)


def test_one_class_is_not_enough(empty: Study) -> None:
    manifest = bring(empty.home, draw_shapes(12, size=32, classes=("disc-solid",)), "One")
    at = show("study/data.py", data=manifest.id)
    assert "at least two classes" in at.warning[0].value
    assert "Continue to the split" not in labels(at)
    at = show("study/split.py", data=manifest.id)
    assert "two" in at.error[0].value
    assert "Continue to training" not in labels(at)
    assert "not yet decided" in words(show("train/new_run.py", data=manifest.id))
