"""Split and Report where only some images name a group, and what a study of the data leaves alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui.text import escape
from sample_data.shapes import draw_shapes
from tests.pages.screens import Study, bring, button, labels, link_of, show, widget, words
from transfer_core.bundle import story
from transfer_core.bundle.document import Text
from transfer_core.data.split import make_split
from transfer_core.runs.recipes import group_runs
from transfer_core.runs.take_home import make_subject


@pytest.fixture
def mixed(empty: Study) -> Study:
    """Sixty drawings of three classes, one of which names a patient."""
    drawings = draw_shapes(60, seed=3, size=32, classes=("disc-solid", "cross-outline", "star-dotted"))
    bring(empty.home, [replace(each, group=None if n else "P1") for n, each in enumerate(drawings)])
    return empty


def test_one_image_with_a_group_makes_no_split_by_group(mixed: Study) -> None:
    at = show("study/split.py", data=mixed.manifest.id)
    kept = widget(at.radio, "Kept apart")
    assert kept.value == "image"
    for rule in ("image", "group"):
        kept.set_value(rule).run()
        said = words(at)
        assert "59 of 60 images name no group and are divided one by one" in said
        assert ":material/check: 0 groups on both sides" not in said
    assert "How much would a random split flatter?" not in labels(at)


def test_reports_claim_whole_groups_only_where_all_images_name_one(mixed: Study) -> None:
    mixed.choices = {"rule": "group"}
    run = mixed.ended()
    at = show("results/report.py", run=run.id)
    card = next(
        each.text for each in story.tell(make_subject(mixed.lab, run))
        if isinstance(each, Text) and each.text.startswith("Held out")
    )  # fmt: skip
    for said in (words(at), card):
        assert "whole groups" not in said
        assert "Held out: " in said
        assert "59 of 60 images name no group and are divided one by one" in said


def test_whole_groups_are_claimed_where_every_image_names_one(study: Study) -> None:
    study.choices = {"rule": "group"}
    said = words(show("results/report.py", run=study.ended().id))
    assert "Held out: whole groups that training never saw. Model chosen by" in said
    assert "no group" not in said


def measured(study: Study) -> AppTest:
    """The Split page after the study "How much would a random split flatter?" has come to its end."""
    at = show("study/split.py", data=study.manifest.id)
    button(at, "How much would a random split flatter?").click().run()
    for run in study.store.runs():
        if not run.is_over:
            study.finish(run, {"n": 20, "accuracy": 0.8})
    return at.run()


@pytest.mark.parametrize("decided", [True, False])
def test_a_study_changes_neither_the_split_nor_the_run(study: Study, decided: bool) -> None:
    if decided:
        study.choices = {"rule": "image", "seed": 7}
        mine = study.ended(name="Mine")
    at = measured(study)
    assert sum(run.of_study for run in study.store.runs()) == 6
    assert "A linear probe is right on" in words(at)
    assert widget(at.radio, "Kept apart").value == ("image" if decided else "group")
    assert widget(at.number_input, "Seed").value == (7 if decided else 0)
    assert link_of(at, "run") == (mine.id if decided else "")
    pickers = [each for each in at.sidebar.selectbox if each.label == "Run"]
    assert [len(each.options) for each in pickers] == ([1] if decided else [])
    for page in ("study/split.py", "train/live.py"):
        fresh = show(page, data=study.manifest.id)
        assert link_of(fresh, "run") == (mine.id if decided else "")
        assert link_of(fresh, "split") == (mine.spec.split if decided and page == "study/split.py" else "")
    assert "Linear probe by" in str(show("results/runs.py").dataframe[0].value["Run"].tolist())


def test_the_split_on_the_screen_is_trained_on_whatever_a_study_drew(study: Study) -> None:
    at = show("study/split.py", data=study.manifest.id)
    widget(at.number_input, "Seed").set_value(5).run()
    button(at, "How much would a random split flatter?").click().run()
    button(at, "Continue to training").click().run()
    split = study.library.get_split(study.manifest.id, link_of(at, "split"))
    assert (split.rule, split.seed) == ("group", 5)


def test_a_run_of_a_study_that_somebody_opens_is_current(study: Study) -> None:
    study.ended(name="Mine")
    measured(study)
    probe = next(run for run in study.store.runs() if run.of_study)
    at = show("results/runs.py", run=probe.id)
    (picker,) = [each for each in at.sidebar.selectbox if each.label == "Run"]
    assert (picker.value, len(picker.options)) == (probe.id, 2)


def test_runs_keep_their_names_beside_those_of_a_study(study: Study) -> None:
    study.choices = {"rule": "group"}
    mine = study.ended(name="My first probe", strategy="feature_extraction")
    other = study.ended(name="My tuned one", strategy="fine_tuning", cut=6)
    measured(study)
    at = show("results/compare.py", run=mine.id)
    assert set(at.multiselect[0].options) == {"My first probe", "My tuned one"}
    assert set(at.multiselect[0].value) == {mine.id, other.id}
    twin = replace(mine, id="twin", name="Linear probe by group, seed 1", spec=replace(mine.spec, seed=1))
    names = [[each.name for each in group_runs([mine, replace(twin, of_study=which)], lambda run: "same")]
             for which in (True, False)]  # fmt: skip
    assert names[0] == ["My first probe", "Linear probe by group, seed 1"]
    assert len(names[1]) == 1


def test_a_class_that_the_target_lacks_is_named_and_no_seed_is_promised(study: Study) -> None:
    source, target = study.manifest.domains
    gone = study.manifest.classes[0]
    rows = tuple(row for row in study.manifest.rows if (row.domain, row.label) != (target, gone))
    manifest = study.library.add(replace(study.manifest, rows=rows, name="One class short"))
    split = make_split(manifest, "transfer", train_domain=source, test_domain=target)
    study.library.add_split(split)
    at = show("study/split.py", data=manifest.id, split=split.id)
    told = [each.value for each in at.warning]
    assert any(escape(f"{target} has no labelled image of {gone}") in each for each in told)
    assert not any("another seed" in each for each in told)
