"""Pages of strategies that adapt, and of several strategies at once."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pages.ui.text import escape
from sample_data.shapes import draw_shapes
from tests.pages.screens import PAGES, Study, bring, button, labels, link_of, show, widget, words
from transfer_core.cli import main
from transfer_core.knobs import get_knobs
from transfer_core.strategies import FURTHER_LABEL, STRATEGIES, TARGET, UNLABELLED, Strategy
from transfer_core.training.events import Ended, EpochEnded


def across(study: Study) -> Study:
    """The same study, split from one domain to the other."""
    source, target = study.manifest.domains
    study.choices = {"rule": "transfer", "train_domain": source, "test_domain": target}
    return study


def test_strategies_that_cannot_run_say_why(study: Study) -> None:
    split = study.split(rule="image")
    at = show("train/new_run.py", data=study.manifest.id, split=split.id)
    widget(at.button_group, "Which kind").set_value("adaptation").run()
    assert "split from one domain to another" in words(at)
    assert "choose-mcc" not in [each.key for each in at.button]


def test_the_split_across_domains_leads_to_adaptation(study: Study) -> None:
    at = show("study/split.py", data=study.manifest.id)
    at.radio[0].set_value("transfer").run()
    assert [
        each.label for each in at.selectbox if each.label in ("Learn from the labels of", "For images of")
    ]
    button(at, "Continue to training").click().run()
    assert "without adaptation" in words(at)
    assert at.session_state["strategy"] == "adversarial_self_training"
    assert "Adversarial self-training** :blue-badge[start here]" in words(at)


@pytest.mark.parametrize(
    ("own", "twin", "says"), [(0, 12, "**Better.**"), (12, 0, "**Worse.**"), (2, 2, "**Cannot tell.**")]
)
def test_a_report_says_whether_adaptation_helped(empty: Study, own: int, twin: int, says: str) -> None:
    study = empty
    bring(study.home, draw_shapes(120, seed=3, size=32, classes=("disc-solid", "cross-outline"), groups=60))
    run = across(study).ended(strategy="mcc", name="mine", wrong=own)
    study.ended(strategy="source_only", wrong=twin)
    at = show("results/report.py", run=run.id)
    assert not at.exception
    boxes = [each.value for each in (*at.success, *at.info, *at.error)]
    assert sum(says in each for each in boxes) == 1
    assert bool(at.success) == (says == "**Better.**"), "green is for better alone"
    assert "oracle" in words(at)


def test_so_few_groups_cannot_tell(study: Study) -> None:
    """However far apart two runs are."""
    run = across(study).ended(strategy="mcc", name="mine", wrong=0)
    study.ended(strategy="source_only", wrong=9)
    at = show("results/report.py", run=run.id)
    assert "at least 6 groups with labels have to hold each class" in words(at).lower()
    assert not at.success


def test_a_report_waits_for_its_twin(study: Study) -> None:
    run = across(study).ended(strategy="mcc", name="mine")
    study.queued(strategy="source_only")
    assert "without adaptation is needed" in words(show("results/report.py", run=run.id))


def test_a_live_adaptation_tells_its_health(study: Study) -> None:
    run = across(study).running(strategy="mcc")
    at = show("train/live.py", run=run.id)
    assert "Health of the adaptation" in words(at)
    assert "from the features, is right 70 % of the time" in words(at)
    (called,) = [each.value for each in at.dataframe if "Called on the target" in each.value]
    assert list(called["Class"]) == list(study.manifest.classes)
    assert called["In the source"].sum() == pytest.approx(100)
    (parts,) = [each.value for each in at.table if "What it means" in each.value]
    told = dict(zip(parts["Part"], zip(parts["At first"], parts["Epoch 2"], strict=True), strict=True))
    assert told == {
        "cross-entropy": ("1.000", "0.500"), "domain": ("0.300", "0.600"), "lambda": ("0.400", "0.800"),
    }  # fmt: skip


def test_the_health_of_a_finished_run_is_that_of_the_epoch_that_was_kept(study: Study) -> None:
    waiting = across(study).queued(strategy="mcc")
    run = study.store.claim(waiting.id)
    assert run is not None
    kept, gone = study.manifest.classes[0], study.manifest.classes[1]
    shares = {f"share {name}": 1 / 3 for name in study.manifest.classes}
    figures = {"loss": 1.0, "accuracy": 0.5, "cross-entropy": 1.0}
    collapsed = EpochEnded(
        1, 2, figures, figures, 1e-3, 1.0, best=True, target=shares | {f"share {gone}": 0.0}
    )
    healthy = EpochEnded(
        2, 2, figures, figures, 1e-3, 2.0, best=False, target=shares | {f"share {kept}": 0.9}
    )
    study.store.add_events(run.id, run.attempt, [collapsed, healthy])
    assert "a collapse" not in words(show("train/live.py", run=run.id))
    study.store.finish(run.id, run.attempt, "done", best=0.5, result=study.report(run, 3))
    for page in ("train/live.py", "results/report.py"):
        assert "a collapse" in words(show(page, run=run.id)), page
    assert "at epoch 1, which was kept" in words(show("train/live.py", run=run.id))


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a data set that is large enough for every strategy, to be copied."""
    home = tmp_path_factory.mktemp("brought")
    bring(home, draw_shapes(240, seed=3, size=32, groups=60))
    return home


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda each: each.name)
def test_the_form_of_every_strategy_is_drawn_from_its_knobs_and_a_run_starts_with_it(
    empty: Study, brought: Path, strategy: type[Strategy]
) -> None:
    shutil.copytree(brought, empty.home, dirs_exist_ok=True)
    study = across(empty) if {TARGET, UNLABELLED} & set(strategy.needs) else empty
    if FURTHER_LABEL in strategy.needs:
        told = {"side": "a", "site": "b"}  # of several, one is asked for
        rows = tuple(
            replace(row, extra={name: each + row.image[0] for name, each in told.items()})
            for row in study.manifest.rows
        )
        study.library.add(replace(study.manifest, rows=rows, name="with sides"))
    split = study.split(**study.choices)
    at = show("train/new_run.py", {"strategy": strategy.name}, data=study.manifest.id, split=split.id)
    shown = {each.label for each in (*at.toggle, *at.selectbox, *at.number_input, *at.text_input)}
    wanted = {f"{each.label} ({each.unit})" if each.unit and each.type is int else each.label for each in get_knobs(strategy)}  # fmt: skip
    wanted -= {"Labelled target images (per class)"} if split.rule != "transfer" else set()
    assert wanted <= shown, wanted - shown
    button(at, "Start training").click().run()
    assert not at.exception
    assert strategy.name in {run.spec.strategy for run in study.store.runs()}


def test_several_strategies_are_started_and_raced(study: Study) -> None:
    split = study.split(rule="image")
    at = show("train/new_run.py", data=study.manifest.id, split=split.id)
    start = next(each for each in at.button if each.label == "Start 2 runs and watch the race")
    start.click().run()
    assert not at.exception
    runs = study.store.runs()
    queue = sorted(runs, key=lambda run: run.created)
    assert [run.spec.strategy for run in queue] == ["feature_extraction", "fine_tuning"], (
        "the quick one first"
    )
    assert set(at.multiselect[0].value) == {run.id for run in runs}
    assert "The table is here as soon as" in words(at)


def test_a_race_uses_again_what_is_there(study: Study) -> None:
    split = study.split(rule="image")
    form = {"data": study.manifest.id, "split": split.id}
    at = show("train/new_run.py", **form)
    at.button(key="start-race").click().run()
    first = study.store.runs()
    for run in first:
        study.finish(run, {"n": 0})
    study.store.rename(first[0].id, name="mine")
    at = show("train/new_run.py", **form)
    assert "**mine**" in words(at)
    assert "are trained already and are used again" in words(at)
    picker = widget(at.multiselect, "Strategies")
    picker.set_value([*picker.value, "probe_then_tune"]).run()
    button(at, "Start 1 run and watch the race").click().run()
    assert not at.exception
    assert "are used again" in at.success[0].value
    runs = study.store.runs()
    assert len(runs) == len(first) + 1
    assert set(link_of(at, "race").split(",")) == {run.id for run in runs}


def test_a_target_without_labels_is_said_to_be_unmeasurable(study: Study) -> None:
    across(study)
    target = study.choices["test_domain"]
    rows = tuple(
        replace(row, label=None if row.domain == target else row.label) for row in study.manifest.rows
    )
    manifest = study.library.add(replace(study.manifest, rows=rows, name="half labelled"))
    run = study.ended(strategy="mcc", name="mine")
    study.ended(strategy="source_only")
    assert run.manifest == manifest.id
    run_classes = manifest.classes
    at = show("results/report.py", run=run.id)
    for page in PAGES:
        show(page, at=at, data=run.manifest, split=run.spec.split, run=run.id)
        if page == "study/split.py":
            assert "None of the" in words(at)
            assert "another seed may help" not in words(at)
        if page == "train/new_run.py":
            assert "unseen images have no labels" in words(at)
        if page == "results/report.py":
            assert "Cannot be measured" in words(at)
            assert "Label 10 of them" in words(at)
            (table,) = [each.value for each in at.dataframe if "Without labels" in each.value]
            assert table["This run"][0] == table["Without adaptation"][0] == "0.31"
            assert {f"Said to be {name}" for name in run_classes} <= set(table["Without labels"])


def test_a_missing_twin_is_offered(study: Study) -> None:
    run = across(study).ended(strategy="mcc", name="mine")
    at = show("results/report.py", run=run.id)
    assert "Not known" in words(at)
    button(at, "Train it now").click().run()
    assert not at.exception
    assert [each.spec.strategy for each in study.store.runs()] == ["source_only", "mcc"]


def test_a_twin_that_diverged_is_said_to_have(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    run = across(study).ended(strategy="mcc", name="mine")
    twin = study.running("plain", epochs=0, strategy="source_only")
    study.store.add_events(twin.id, twin.attempt, [Ended("diverged", 0, 0)])
    study.store.finish(twin.id, twin.attempt, "failed", error="The loss stopped being a number.")
    at = show("results/report.py", run=run.id)
    assert "the same run without adaptation diverged" in words(at)
    assert "Train it now" not in labels(at)
    assert button(at, "Run again with changes")
    at = show("train/live.py", run=twin.id)
    assert labels(at) == ["Run again with changes"], "to start it again is not offered"
    main(["report", run.id])
    assert "Not known: the same run without adaptation diverged" in capsys.readouterr().out
    assert "can go on" not in words(show("study/home.py"))


def test_domains_that_ask_different_questions_need_a_yes(study: Study) -> None:
    _, target = study.manifest.domains
    rows = tuple(
        replace(row, label=f"other {row.label}") if row.domain == target else row
        for row in study.manifest.rows
    )
    classes = tuple(sorted({row.label for row in rows if row.label}))
    manifest = study.library.add(replace(study.manifest, name="Two questions", rows=rows, classes=classes))
    at = show("study/split.py", data=manifest.id)
    at.radio[0].set_value("transfer").run()
    assert "classes that the source does not have" in at.error[0].value
    widget(at.checkbox, "The two ask different questions").check().run()
    button(at, "Continue to training").click().run()
    assert not at.exception
    at = show("train/new_run.py", data=manifest.id, split=link_of(at, "split"))
    assert at.session_state["strategy"] == "multi_task"
    widget(at.button_group, "Which kind").set_value("adaptation").run()
    assert "other disc" in words(at), "each card says which classes are in the way"


def without_target_labels(study: Study) -> Study:
    """The same study, split from one domain to another whose images have no label."""
    old, target = across(study).manifest, study.choices["test_domain"]
    rows = tuple(replace(row, label=None) if row.domain == target else row for row in old.rows)
    study.library.add(replace(old, rows=rows))
    study.library.delete(old.id)
    return study


def test_labelling_a_few_images_tells_whether_adaptation_helped(study: Study) -> None:
    truth = {row.image: row.label for row in study.manifest.rows}
    study = without_target_labels(study)
    run = study.ended(strategy="mcc", name="mine")
    study.ended(strategy="source_only")
    at = show("results/report.py", run=run.id)
    assert "cannot be measured" in " ".join(each.value for each in at.info)
    (wanted,) = [each.label for each in at.button if "to find out" in each.label]
    button(at, wanted).click().run()
    images = list(study.lab.spot_check(run).images)
    assert set(images) <= set(study.split(**study.choices).part("test"))
    button(at, "Cannot tell").click().run()
    button(at, "Undo").click().run()
    assert study.lab.spot_check(run).open == images
    for image in images:
        assert study.lab.verdict(run) is None, "no figure before the end"
        at.button(key=f"is-{image}-{truth[image]}").click().run()
    assert not at.exception
    verdict = study.lab.verdict(run)
    assert verdict is not None
    assert verdict.n == len(images)
    at = show("results/report.py", run=run.id)
    assert f"of {len(images)} unseen images" in words(at)
    assert "Labelled by hand" in words(at)
    assert study.library.get(run.manifest).by_image[images[0]].label is None, "training still sees no label"


@pytest.mark.parametrize(("groups", "warns"), [(6, True), (100, False)])
def test_few_held_out_groups_are_said_to_be_few(empty: Study, groups: int, warns: bool) -> None:
    bring(
        empty.home,
        draw_shapes(200, seed=3, size=32, classes=("disc-solid", "cross-outline"), groups=groups),
        "Grouped",
    )
    empty.choices = {"rule": "group"}
    run = empty.ended(wrong=3)
    found = run.result["test"]["groups"] if run.result else None
    assert found
    assert (found < 10) == warns
    said = [each.value for each in show("results/report.py", run=run.id).info]
    assert any(f"Only {found} groups" in each or f"Only {found} group " in each for each in said) == warns


def test_cards_say_what_a_strategy_needs_and_costs_and_grey_what_the_backbone_lacks(study: Study) -> None:
    split = across(study).split(**study.choices)
    state = {"strategy": "adabn", "backbone": "lite0"}
    at = show("train/new_run.py", state, data=study.manifest.id, split=split.id)
    cards = [each.value for each in at.caption if "Needs" in each.value]
    assert any(
        "labels in one domain, images of another; a backbone with batch-norm" in each for each in cards
    )
    assert all(":material/timer:" in each for each in cards)
    assert escape("has no batch-norm") not in words(at)
    at.button(key="choose-vit_b_16").click().run()
    assert escape("ViT-B/16 has no batch-norm: choose another") in words(at)
    assert button(at, "Start training").disabled
