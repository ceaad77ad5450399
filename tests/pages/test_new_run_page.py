"""From a data set to a run that waits: split, form, and a run made again with changes."""

from __future__ import annotations

import re

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui import state
from pages.ui.text import escape
from sample_data.shapes import draw_shapes
from tests.pages.screens import (
    CALLS_OUT,
    Study,
    bring,
    button,
    follow,
    labels,
    link_of,
    marked_up,
    show,
    tick,
    widget,
    words,
)
from transfer_core.models.backbones import get_backbone


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


def test_each_strategy_begins_with_its_own_frozen_stages(study: Study) -> None:
    at = form(study)
    widget(at.button_group, "Which kind").set_value("few labels").run()
    at.button(key="choose-prototypical").click().run()
    assert at.slider[0].value == 9
    widget(at.button_group, "Which kind").set_value("supervised").run()
    at.button(key="choose-fine_tuning").click().run()
    assert at.slider[0].value == 6
    assert "Trains **2,562** of" not in words(at)


def test_a_reload_keeps_what_was_set(study: Study) -> None:
    at = form(study)
    at.button(key="choose-fine_tuning").click().run()
    at.slider[0].set_value(4).run()
    widget(at.number_input, "Epochs").set_value(7).run()
    link = {name: link_of(at, name) for name in ("data", "split", "form")}
    button(
        show("train/new_run.py", **link), "Start training"
    ).click().run()  # another session at the same address
    spec = study.store.runs()[0].spec
    assert (spec.strategy, spec.cut, spec.epochs) == ("fine_tuning", 4, 7)
    other = show("train/new_run.py", data=link["data"], split=link["split"])
    assert other.session_state["strategy"] == "feature_extraction", (
        "whoever comes without that address begins anew"
    )


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
              "batch_size": 8, "seed": 5, "lr": 0.002, "augment": "light"}  # fmt: skip
    before = study.ended(name="before", **wishes)
    at = show(page, run=before.id)
    at = tick(at, 0) if "runs" in page else at
    follow(at, "Run again with changes", "train/new_run.py")
    widget(at.number_input, "Seed").set_value(6).run()
    button(at, "Start training").click().run()
    after = study.store.runs()[0]
    assert after.parent == before.id
    was, is_now = before.spec.to_json(), after.spec.to_json()
    assert {key for key in was if was[key] != is_now[key]} == {"seed"}


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


def test_an_augmentation_stays_chosen_and_what_cannot_learn_with_it_says_so(study: Study) -> None:
    """From strategy to strategy and over a visit to another page."""
    where = {"data": study.manifest.id, "split": study.split(rule="image").id}
    at = show("train/new_run.py", **where)
    question = "What may change without changing the class?"

    def choose(strategy: str) -> str:
        for group in ("supervised", "few labels"):
            widget(at.button_group, "Which kind").set_value(group).run()
            for each in at.button:
                if each.key == f"choose-{strategy}":
                    each.click().run()
                    return str(widget(at.selectbox, question).value)
        raise AssertionError(strategy)

    widget(at.selectbox, question).select("mixup").run()
    assert choose("fine_tuning") == "mixup"
    assert choose("prototypical") != "mixup"
    assert "cannot learn with *Mixup*" in words(at)
    assert choose("fine_tuning") == "mixup"
    show("results/runs.py", at=at)
    show("train/new_run.py", at=at, **where)
    assert widget(at.selectbox, question).value == "mixup"


def test_a_race_takes_what_was_changed_where_stages_train(study: Study) -> None:
    at = show("train/new_run.py", data=study.manifest.id, split=study.split(rule="image").id)
    next(each for each in at.button if each.key == "choose-fine_tuning").click().run()
    widget(at.number_input, "Epochs").set_value(3).run()
    widget(at.number_input, "Networks").set_value(2).run()
    at.slider[0].set_value(2).run()
    widget(at.multiselect, "Strategies").set_value(
        ["feature_extraction", "fine_tuning", "from_scratch"]
    ).run()
    next(each for each in at.button if "watch the race" in each.label).click().run()
    assert not at.exception
    specs = {run.spec.strategy: run.spec for run in study.store.runs()}
    changed = {name: (spec.epochs, spec.cut, spec.networks) for name, spec in specs.items()}
    assert changed["fine_tuning"] == (3, 2, 2)
    assert changed["from_scratch"] == (3, 0, 2)
    assert specs["feature_extraction"].epochs > 3
    assert specs["feature_extraction"].networks == 1


@pytest.mark.parametrize(("policy", "least"), [("mixup", 4), ("cutmix", 4), ("mirror", 2)])
def test_the_preview_shows_what_is_learnt_from(study: Study, policy: str, least: int) -> None:
    at = show("train/new_run.py", data=study.manifest.id, split=study.split(rule="image").id)
    widget(at.selectbox, "What may change without changing the class?").select(policy).run()
    shown = [each.proto.imgs[0].url for each in at.get("image")]
    assert len(set(shown)) >= least


def test_prototypes_of_frozen_features_train_nothing(study: Study) -> None:
    where = {"data": study.manifest.id, "split": study.split(rule="image").id}
    at = show("train/new_run.py", {"strategy": "prototypical"}, **where)
    assert "Trains nothing: takes class means" in words(at)


def test_several_networks_are_asked_for_where_they_would_differ(study: Study) -> None:
    at = form(study)
    assert "Networks" not in [each.label for each in at.number_input], (
        "of feature extraction all are the same"
    )
    at.button(key="choose-fine_tuning").click().run()
    before, *_ = re.findall(r"Trains \**([0-9,]+)\** of", words(at))
    widget(at.number_input, "Networks").set_value(3).run()
    after, *_ = re.findall(r"Trains \**([0-9,]+)\** of", words(at))
    at.button(key="choose-feature_extraction").click().run()
    assert "Not as usual" not in words(at), "a number of networks is forgotten where it means nothing"
    at.button(key="choose-fine_tuning").click().run()
    assert int(after.replace(",", "")) == 3 * int(before.replace(",", ""))
    button(at, "Start training").click().run()
    (run,) = study.store.runs()
    assert run.spec.networks == 3
    assert run.name.endswith("3 networks")
