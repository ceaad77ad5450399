"""Every page in every state a user can meet it in."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui import bring as bring_module
from pages.ui import state
from pages.ui.text import escape
from sample_data.shapes import draw_shapes
from tests.pages.screens import (
    PAGES,
    Study,
    bring,
    button,
    follow,
    labels,
    link_of,
    marked_up,
    named,
    png,
    show,
    widget,
    words,
)
from transfer_core.models.backbones import get_backbone
from transfer_core.runs.uploads import open_upload, receive

STATES = ("queued", "running", "stopping", "done", "stopped", "failed", "lost")
HOSTILE = ("../../etc", "<script>alert(1)</script>", "![x](http://evil/p.png)", "0" * 16, "' OR 1=1 --")
CALLS_OUT = "![x](http://evil/p.png)"


def make(study: Study, state: str, **choices: Any) -> Any:
    """A run in a state."""
    if state in ("queued", "running", "stopping"):
        return getattr(study, state)(**choices)
    return study.ended(state, result=state == "done", **choices)


# -- what is missing ----------------------------------------------------------------------


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


# -- links --------------------------------------------------------------------------------


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


def test_a_report_says_what_was_not_as_usual(study: Study) -> None:
    usual = study.ended(strategy="fine_tuning")
    other = study.ended(strategy="fine_tuning", size=256, knobs={"label_smoothing": 0.2})
    assert "images of 224 pixels" in words(show("results/report.py", run=usual.id))
    told = words(show("results/report.py", run=other.id))
    assert "images of 256 pixels" in told
    assert "label smoothing 0\\.2" in told


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


# -- hostile names ------------------------------------------------------------------------


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
            assert r"\!\[x\]\(http\://evil/p\.png\)" in words(at)
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


# -- one class ----------------------------------------------------------------------------


def test_one_class_is_not_enough(empty: Study) -> None:
    manifest = bring(empty.home, draw_shapes(12, size=32, classes=("disc-solid",)), "One")
    at = show("study/data.py", data=manifest.id)
    assert "at least two classes" in at.warning[0].value
    assert "Continue to the split" not in labels(at)
    at = show("study/split.py", data=manifest.id)
    assert "two" in at.error[0].value
    assert "Continue to training" not in labels(at)
    assert "not yet decided" in words(show("train/new_run.py", data=manifest.id))


# -- bringing images ----------------------------------------------------------------------


def packed(n: int = 24) -> bytes:
    """A zip with one folder per class."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for each in draw_shapes(n, size=32, classes=("disc-solid", "star-dotted")):
            archive.writestr(f"{each.label}/{each.name}.png", png(each))
    return out.getvalue()


def arrive(at: AppTest) -> AppTest:
    """Wait on the data page until everything is read."""
    at.switch_page("study/data.py")
    end = time.monotonic() + 30
    while "You may leave this page" in words(at):
        assert time.monotonic() < end
        time.sleep(0.02)
        at.run()
    assert not at.exception
    return at


@pytest.fixture
def upload(empty: Study, monkeypatch: pytest.MonkeyPatch) -> Callable[[AppTest, str, bytes], None]:
    """What the browser does when a zip is chosen: send it, then tell the page, once."""

    def do(at: AppTest, file: str, content: bytes) -> None:
        told = []

        def sent(token: str, **_: Any) -> tuple[str, str, int, int] | None:
            if told:
                return None
            with receive(open_upload(empty.home, token), file, len(content)) as out:
                out.write(content)
            told.append((token, file.removesuffix(".zip"), 1, len(content)))
            return told[0]

        monkeypatch.setattr(bring_module, "uploader", sent)
        at.run()

    return do


Uploaded = Callable[[AppTest, str, bytes], None]


def test_a_zip_becomes_the_open_data_set(empty: Study, upload: Uploaded) -> None:
    at = show("study/home.py")
    upload(at, "My cells.zip", packed())
    arrive(at)
    assert not at.exception
    assert at.title[0].value == "My cells"
    assert at.metric[0].value == "24"
    assert link_of(at, "data") == empty.manifest.id


@pytest.mark.parametrize("content", [b"no zip", b"", packed()[:-40]])
def test_the_wrong_zip_is_told_and_another_can_be_brought(
    empty: Study, upload: Uploaded, content: bytes
) -> None:
    at = show("study/home.py")
    upload(at, "![x](http:evil.zip", content)
    arrive(at)
    assert "zip" in at.error[0].value
    assert "![x]" not in marked_up(at)
    assert not empty.library.datasets()
    assert not list((empty.home / "uploads").glob("*"))
    at.switch_page("study/home.py").run()
    upload(at, "good.zip", packed())
    assert arrive(at).title[0].value == "good"


# -- the way from data to a queued run ----------------------------------------------------


def test_the_way_to_a_run(study: Study) -> None:
    at = show("study/home.py")
    follow(at, "Continue with this data set", "study/data.py")
    follow(at, "Continue to the split", "study/split.py")
    assert "0 groups on both sides" in words(at)
    follow(at, "Continue to training", "train/new_run.py")
    assert "What shall it learn" in words(at)
    button(at, "Start training").click().run()
    assert not at.exception
    (run,) = study.store.runs()
    assert at.title[0].value == escape(run.name)
    assert (run.state, run.spec.strategy, run.spec.backbone) == ("queued", "feature_extraction", "lite0")
    assert study.library.get_split(run.manifest, run.spec.split).rule == "group"
    assert set(study.started) == {run.id}
    assert link_of(at, "run") == run.id


@pytest.mark.parametrize("rule", ["image", "group", "domain"])
def test_every_rule_of_the_split(study: Study, rule: str) -> None:
    at = show("study/split.py", data=study.manifest.id)
    at.radio[0].set_value(rule).run()
    button(at, "Continue to training").click().run()
    assert study.library.get_split(study.manifest.id, link_of(at, "split")).rule == rule


@pytest.mark.parametrize("ends", [(5, 5), (95, 95), (5, 95), (50, 55)])
def test_no_part_of_the_split_is_empty(study: Study, ends: tuple[int, int]) -> None:
    at = show("study/split.py", data=study.manifest.id)
    at.radio[0].set_value("image").run()
    at.slider[0].set_value(ends).run()
    assert not at.exception
    assert not at.error or "would be" in at.error[0].value


def form(study: Study) -> AppTest:
    """The form of a new run."""
    return show("train/new_run.py", data=study.manifest.id, split=study.split().id)


def test_a_whole_form_makes_that_run(study: Study) -> None:
    at = form(study)
    at.button(key="choose-lite2").click().run()
    at.button(key="choose-fine_tuning").click().run()
    at.slider[0].set_value(5).run()
    widget(at.number_input, "Epochs").set_value(7).run()
    widget(at.number_input, "Batch size").set_value(8).run()
    widget(at.text_input, "Learning rate").set_value("2e-4").run()
    widget(at.number_input, "Seed").set_value(11).run()
    widget(at.radio, "Geometry").set_value("pad").run()
    widget(at.toggle, "Keep the frozen part's results").set_value(False).run()
    widget(at.text_input, "Name of the run").set_value("Mine").run()
    button(at, "Start training").click().run()
    (run,) = study.store.runs()
    spec = run.spec
    assert run.name == "Mine"
    assert (spec.backbone, spec.strategy, spec.cut, spec.epochs) == ("lite2", "fine_tuning", 5, 7)
    assert (spec.batch_size, spec.lr, spec.seed, spec.geometry, spec.cache) == (8, 2e-4, 11, "pad", False)


def test_the_freeze_slider_keeps_every_move(study: Study) -> None:
    at = form(study)
    at.button(key="choose-fine_tuning").click().run()
    for cut in (2, 7, 0, 4):
        at.slider[0].set_value(cut).run()
        assert at.slider[0].value == cut
    button(at, "Start training").click().run()
    assert study.store.runs()[0].spec.cut == 4


def test_a_word_for_a_number_is_told(study: Study) -> None:
    at = form(study)
    at.button(key="choose-fine_tuning").click().run()
    widget(at.text_input, "Learning rate").set_value(CALLS_OUT).run()
    assert "Learning rate" in at.error[0].value
    assert CALLS_OUT not in marked_up(at)
    assert "Start training" not in labels(at)


def test_missing_weights_are_told_and_nothing_starts(study: Study) -> None:
    at = form(study)
    at.button(key="choose-resnet50").click().run()
    assert button(at, "Start training").disabled
    assert "Download the weights now" in labels(at)


def test_fast_clicks_make_one_run(study: Study) -> None:
    at = form(study)
    for _ in range(5):  # each handled while the form is still there
        start = button(at, "Start training")
        at.switch_page("train/new_run.py")
        start.click().run()
        at.switch_page("train/new_run.py").run()
    assert len(study.store.runs()) == 1


def test_the_same_again_on_purpose_is_another_run(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    at = form(study)
    button(at, "Start training").click().run()
    monkeypatch.setattr(state, "FAST", 0.0)
    at.switch_page("train/new_run.py").run()
    button(at, "Start training").click().run()
    first, second = study.store.runs()
    assert first.spec == second.spec


@pytest.mark.parametrize("page", ["train/live.py", "results/runs.py"])
def test_again_with_changes_keeps_all_but_the_changes(study: Study, page: str) -> None:
    wishes = {"backbone": "lite2", "strategy": "fine_tuning", "cut": 3, "geometry": "pad", "cache": False,
              "batch_size": 8, "seed": 5, "lr": 0.002, "views": 4, "augment": "flip"}  # fmt: skip
    before = study.ended(name="before", **_possible(wishes))
    at = show(page, {"runs-table": {"selection": {"rows": [0]}}} if "runs" in page else None, run=before.id)
    follow(at, "Run again with changes", "train/new_run.py")
    widget(at.number_input, "Seed").set_value(6).run()
    button(at, "Start training").click().run()
    after = study.store.runs()[0]
    assert after.parent == before.id
    was, is_now = before.spec.to_json(), after.spec.to_json()
    assert {key for key in was if was[key] != is_now[key]} == {"seed"}


def _possible(wishes: dict[str, Any]) -> dict[str, Any]:
    """Wishes with an augmentation that there is."""
    from transfer_core.data.augment import AUGMENTATIONS

    names = [each.name for each in AUGMENTATIONS]
    return wishes | {"augment": names[1], "views": None}


def test_again_does_not_reach_into_another_data_set(study: Study) -> None:
    before = study.ended(seed=5)
    at = show("train/live.py", run=before.id)
    follow(at, "Run again with changes", "train/new_run.py")
    other = bring(
        study.home, draw_shapes(40, seed=9, size=32, classes=("disc-solid", "star-dotted")), "Others"
    )
    split = study.split(rule="image")
    at.run()
    next(each for each in at.selectbox if each.label == "Data set").select(other.id).run()
    assert link_of(at, "run") == "", "the runs of another data set are not offered"
    show("train/new_run.py", at=at, data=other.id, split=split.id)
    button(at, "Start training").click().run()
    after = next(run for run in study.store.runs() if run.manifest == other.id)
    assert (after.parent, after.spec.seed) == (None, 0)


def test_again_with_another_strategy_freezes_as_that_one_does(study: Study) -> None:
    before = study.ended(strategy="feature_extraction", name="mine")
    stages = len(get_backbone(before.spec.backbone).stages)
    assert before.spec.cut == stages
    at = show("train/live.py", run=before.id)
    follow(at, "Run again with changes", "train/new_run.py")
    next(each for each in at.button if each.key == "choose-fine_tuning").click().run()
    assert 0 < at.slider[0].value < stages


def test_a_link_to_a_run_brings_its_data_set(study: Study) -> None:
    run = study.ended(name="mine")
    other = bring(
        study.home, draw_shapes(40, seed=9, size=32, classes=("disc-solid", "star-dotted")), "Others"
    )
    at = show("results/report.py", data=other.id, run=run.id)
    at.run()
    assert (link_of(at, "data"), link_of(at, "run")) == (run.manifest, run.id)


# -- live ---------------------------------------------------------------------------------


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


# -- results ------------------------------------------------------------------------------


def test_the_report_says_first_how_often_it_is_right(study: Study) -> None:
    run = study.ended(wrong=3)
    n = run.result["test"]["n"] if run.result else 0
    at = show("results/report.py", run=run.id)
    assert f"of {n} unseen images" in words(at)
    assert "95 % interval" in words(at)
    assert "single images, drawn at random" in words(at)


def test_a_cell_of_the_confusion_opens_its_images(study: Study) -> None:
    run = study.ended(wrong=3)
    at = show("results/report.py", run=run.id)
    cells = [each for each in at.button if (each.key or "").startswith(f"open-{run.id}-")]
    assert len(cells) == 9
    wrong = next(
        each for each in cells if not each.disabled and each.key.split("-")[2] != each.key.split("-")[3]
    )
    wrong.click().run()
    assert f"{int(wrong.label)} image" in words(at)
    assert "(90 %)" in words(at)


def test_no_mistakes_is_said(study: Study) -> None:
    run = study.ended(wrong=0)
    assert "None on the unseen images" in words(show("results/report.py", run=run.id))


def test_many_classes_have_a_heat_map(empty: Study) -> None:
    bring(empty.home, draw_shapes(120, seed=1, size=32), "Many")
    run = empty.ended(wrong=5)
    at = show("results/report.py", run=run.id)
    assert not [each for each in at.button if (each.key or "").startswith("open-")]
    assert any('"type":"heatmap"' in each.proto.spec for each in at.get("plotly_chart"))


def test_two_runs_are_compared(study: Study) -> None:
    worse, better = study.ended(name="worse", wrong=6, val=0.7), study.ended(name="better", wrong=1)
    at = show("results/compare.py", run=worse.id)
    assert set(at.multiselect[0].value) == {worse.id, better.id}
    table = at.dataframe[0].value
    assert sorted(table["Run"]) == ["better", "worse"]
    assert not at.warning
    winner = next(each for each in at.button if each.label.startswith("Take home: better"))
    winner.click().run()
    assert "better" in words(at)
    assert link_of(at, "run") == better.id


def test_one_finished_run_is_not_compared(study: Study) -> None:
    study.ended()
    assert "Two finished runs are needed" in words(show("results/compare.py"))


def test_runs_on_other_images_are_not_set_side_by_side(study: Study) -> None:
    study.ended(name="here")
    bring(study.home, draw_shapes(40, seed=9, size=32, classes=("disc-solid", "star-dotted")), "Others")
    there = study.ended(name="there")
    at = show("results/compare.py", run=there.id)
    at.multiselect[0].set_value([run.id for run in study.store.runs()]).run()
    assert "different images" in at.warning[0].value


# -- runs and data sets, changed and deleted ----------------------------------------------

FIRST = {"runs-table": {"selection": {"rows": [0]}}}


def test_runs_are_filtered(study: Study) -> None:
    study.ended(name="alpha")
    study.ended("failed", name="beta", result=False)
    study.queued(name="gamma")
    at = show("results/runs.py")
    assert list(at.dataframe[0].value["Run"]) == ["gamma", "beta", "alpha"]
    widget(at.text_input, "Filter").set_value("ALP").run()
    assert list(at.dataframe[0].value["Run"]) == ["alpha"]
    widget(at.text_input, "Filter").set_value("").run()
    widget(at.selectbox, "State").select("failed").run()
    assert list(at.dataframe[0].value["Run"]) == ["beta"]


def test_a_run_gets_a_name_and_a_note(study: Study) -> None:
    run = study.ended(name="old")
    at = show("results/runs.py", FIRST)
    widget(at.text_input, "Name").set_value(" new ")
    at.text_area[0].set_value("for the talk")
    button(at, "Save name and note").click().run()
    assert (study.store.get(run.id).name, study.store.get(run.id).note) == ("new", "for the talk")


def test_a_run_is_deleted_with_a_receipt(study: Study) -> None:
    kept, run = study.ended(name="kept"), study.ended(name=CALLS_OUT)
    at = show("results/runs.py", FIRST, run=run.id)
    assert button(at, "Delete the run").disabled
    at.checkbox[0].check().run()
    button(at, "Delete the run").click().run()
    assert not at.exception
    assert "Deleted run" in at.success[0].value
    assert CALLS_OUT not in marked_up(at)
    assert [each.id for each in study.store.runs()] == [kept.id]
    assert not study.store.folder(run.id).exists()


def test_a_running_run_is_not_deleted(study: Study) -> None:
    run = study.running()
    at = show("results/runs.py", FIRST)
    assert at.checkbox[0].disabled
    assert "Stop it before" in at.checkbox[0].label
    assert button(at, "Delete the run").disabled
    assert study.store.get(run.id).state == "running"


def test_a_data_set_is_renamed(study: Study) -> None:
    at = show("study/data.py")
    widget(at.text_input, "Name").set_value("Better").run()
    button(at, "Rename").click().run()
    assert at.title[0].value == "Better"
    assert study.library.datasets()[0].name == "Better"


def test_a_data_set_is_deleted_with_its_runs_and_a_receipt(study: Study) -> None:
    run = study.ended(name="mine")
    at = show("study/data.py", data=run.manifest, run=run.id)
    assert "60 images, 1 run" in words(at)
    widget(at.checkbox, "I want to delete all of this").check().run()
    button(at, "Delete the data set").click().run()
    assert not at.exception
    assert "1 run, 60 images" in at.success[0].value
    assert not study.library.datasets()
    assert not study.store.runs()
    assert not [path for path in (study.home / "images").rglob("*") if path.is_file()]


def test_a_data_set_in_use_is_not_deleted(study: Study) -> None:
    study.running()
    at = show("study/data.py")
    widget(at.checkbox, "I want to delete all of this").check().run()
    button(at, "Delete the data set").click().run()
    assert "stop it first" in at.error[0].value
    assert study.library.datasets()


def test_the_gallery_is_filtered(study: Study) -> None:
    at = show("study/data.py")
    widget(at.selectbox, "Class").select("disc-solid").run()
    assert "20 images" in words(at)
    widget(at.selectbox, "Domain").select("clean").run()
    assert "10 images" in words(at)


def test_problems_of_the_upload_are_listed(empty: Study) -> None:
    manifest = bring(empty.home, draw_shapes(24, size=32, classes=("disc-solid", "star-dotted")))
    path = empty.library.folder / manifest.id / "about.json"
    about = json.loads(path.read_text())
    about["problems"] = [{"file": CALLS_OUT, "kind": "damaged", "message": "the file ends too early"}]
    path.write_text(json.dumps(about))
    at = show("study/data.py")
    assert at.metric[4].value == "1"
    assert list(at.dataframe[0].value["File"]) == [CALLS_OUT]
