"""What a link or the sidebar asks for: found, told where it is not, and kept."""

from __future__ import annotations

import pytest

from sample_data.shapes import draw_shapes
from tests.pages.screens import CALLS_OUT, PAGES, Study, bring, link_of, marked_up, show, words

HOSTILE = ("../../etc", "<script>alert(1)</script>", "![x](http://evil/p.png)", "0" * 16, "' OR 1=1 --")


@pytest.mark.parametrize("ref", HOSTILE)
def test_a_link_to_nothing_is_told_and_touches_nothing(study: Study, ref: str) -> None:
    run = study.ended(name="mine")
    at = show("study/home.py")
    for page in PAGES:
        show(page, at=at, data=ref, split=ref, run=ref)
        assert CALLS_OUT not in marked_up(at)
        if page in ("train/live.py", "results/report.py", "results/predict.py", "results/take_home.py"):
            assert "There is no run" in at.warning[0].value
            assert link_of(at, "run") == run.id
        if page in ("study/data.py", "study/split.py", "train/new_run.py"):
            assert "There is no data set" in at.warning[0].value
            assert link_of(at, "data") == run.manifest
    assert study.store.get(run.id).state == "done"


def test_a_link_may_shorten_or_name(study: Study) -> None:
    run = study.ended(name="mine")
    for ref in (run.id[:6], "mine"):
        at = show("results/report.py", run=ref)
        assert "There is no run" not in words(at)
        assert link_of(at, "run") == run.id


def test_a_deleted_run_is_told(study: Study) -> None:
    kept, gone = study.ended(name="kept"), study.ended(name="gone")
    study.store.delete(gone.id)
    at = show("train/live.py", run=gone.id)
    assert gone.id in at.warning[0].value
    assert at.title[0].value == "kept"
    assert link_of(at, "run") == kept.id


def test_the_sidebar_keeps_every_choice(study: Study) -> None:
    runs = [study.ended(name=name) for name in ("one", "two", "three")]
    at = show("train/live.py", run=runs[0].id)
    for run in (*runs[1:], runs[0], runs[2]):
        picker = next(each for each in at.selectbox if each.label == "Run")
        picker.select(run.id).run()
        assert at.title[0].value == run.name
        assert link_of(at, "run") == run.id


def test_another_data_set_forgets_the_split(study: Study) -> None:
    first, split = study.manifest, study.split()
    second = bring(study.home, draw_shapes(24, seed=9, size=32), "Others")
    at = show("study/data.py", data=first.id, split=split.id)
    next(each for each in at.selectbox if each.label == "Data set").select(second.id).run()
    assert at.title[0].value == "Others"
    assert "split" not in at.query_params


def test_a_link_to_a_run_brings_its_data_set(study: Study) -> None:
    run = study.ended(name="mine")
    other = bring(
        study.home, draw_shapes(40, seed=9, size=32, classes=("disc-solid", "star-dotted")), "Others"
    )
    at = show("results/report.py", data=other.id, run=run.id)
    at.run()
    assert (link_of(at, "data"), link_of(at, "run")) == (run.manifest, run.id)
