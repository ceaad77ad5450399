"""What a link or the sidebar asks for: found, told where it is not, and kept."""

from __future__ import annotations

import pytest

from sample_data.shapes import draw_shapes
from tests.pages.screens import CALLS_OUT, PAGES, Study, bring, link_of, marked_up, show, widget, words

OF_A_DATA_SET = ("study/data.py", "study/split.py", "train/new_run.py")
OF_A_RUN = (
    "train/live.py", "results/report.py", "results/explain.py", "results/decide.py", "results/predict.py",
    "results/take_home.py",
)  # fmt: skip
WAYS_ON = {"run": "See what runs there are", "data": "See what data sets there are"}
HOSTILE = ("../../etc", "<script>alert(1)</script>", "![x](http://evil/p.png)", "0" * 16, "' OR 1=1 --")


@pytest.mark.parametrize("ref", HOSTILE)
def test_a_link_to_nothing_is_told_and_touches_nothing(study: Study, ref: str) -> None:
    run = study.ended(name="mine")
    at = show("study/home.py")
    for page in PAGES:
        show(page, at=at, data=ref, split=ref, run=ref)
        assert CALLS_OUT not in marked_up(at)
        if page in (*OF_A_RUN, "results/compare.py"):
            assert "There is no run" in words(at)
        if page in OF_A_DATA_SET:
            assert "There is no data set" in words(at)
    assert study.store.get(run.id).state == "done"


def test_a_link_may_shorten_or_name(study: Study) -> None:
    run = study.ended(name="mine")
    for ref in (run.id[:6], "mine"):
        at = show("results/report.py", run=ref)
        assert "There is no run" not in words(at)
        assert link_of(at, "run") == run.id


@pytest.mark.parametrize("key", ["run", "data"])
def test_of_what_was_deleted_only_that_is_said_and_the_way_on(study: Study, key: str) -> None:
    for name in ("kept", "kept too"):
        study.ended(name=name)
    gone = (
        study.ended(name="gone").id if key == "run" else bring(study.home, draw_shapes(24, seed=9), "Gone").id
    )
    if key == "run":
        study.store.delete(gone)
    else:
        study.library.delete(gone)
    at = show("study/home.py")
    for page in (*OF_A_RUN, "results/compare.py", *OF_A_DATA_SET * (key == "data")):
        show(page, at=at, **{key: gone})
        assert gone in words(at), page
        assert "kept" not in "".join(
            str(each.value) for each in (*at.title, *at.markdown, *at.main.caption)
        ), page
        assert [each.label for each in at.main.button] == [WAYS_ON[key]], page
        assert not [*at.metric, *at.dataframe, *at.get("plotly_chart"), *at.get("image")], page
        assert link_of(at, key) == gone
        assert widget(at.selectbox, {"run": "Run", "data": "Data set"}[key]).value is None
    at.main.button[0].click().run()
    assert not at.exception
    assert "There is no" not in words(at)


def test_a_race_says_which_of_its_runs_are_gone(study: Study) -> None:
    runs = [study.ended(name=name, seed=seed) for seed, name in enumerate(("one", "two", "three"))]
    study.store.delete(runs[0].id)
    at = show("results/compare.py", race=",".join(run.id for run in runs))
    assert "1 run of this link is not here any more" in at.warning[0].value
    study.store.delete(runs[1].id)
    at = show("results/compare.py", race=",".join(run.id for run in runs))
    assert [each.label for each in at.main.button] == [WAYS_ON["run"]]


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
