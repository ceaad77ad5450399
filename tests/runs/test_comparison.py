"""Runs side by side, on reports made by hand: who is paired, who leads, what is said, and the sweep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from sample_data.shapes import draw_shapes
from tests.pages.screens import Study, bring
from transfer_core.errors import UserError
from transfer_core.evaluation.pair_words import points, sentence, signed
from transfer_core.runs.comparison import compare
from transfer_core.runs.executors import SubprocessExecutor
from transfer_core.runs.lead import find_lead
from transfer_core.runs.series import look_up, start_missing
from transfer_core.runs.sweep import is_sweep, parse_cuts, sweep_specs
from transfer_core.runs.verdicts import basis, comparison_object
from transfer_core.training.spec import RunSpec


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    study = Study(tmp_path / "home")
    study.home.mkdir()
    monkeypatch.setenv("TRANSFER_LAB_HOME", str(study.home))
    monkeypatch.setattr(SubprocessExecutor, "start", lambda _, home, run, attempt: study.started.append(run))
    bring(study.home, draw_shapes(80, seed=3, size=32, classes=("disc-solid", "cross-outline"), groups=20))
    return study


def test_the_order_comes_from_validation_images_and_the_pair_from_test_images(study: Study) -> None:
    leads = study.ended(name="ahead", wrong=9, val=0.9)
    other = study.ended(name="other", wrong=0, val=0.7, cut=3, strategy="fine_tuning")
    found = compare(study.lab, [other, leads])
    assert found
    assert found.entries[found.order[0]].recipe.runs == (leads,)
    assert found.chosen_by == "accuracy on the validation images"
    (pair,) = found.against(found.order[0])
    assert (pair.only_first, pair.only_second, pair.n) == (0, 9, 20)
    assert pair.p == pytest.approx(binomtest(0, 9, 0.5).pvalue)
    assert pair.accuracy.value == pytest.approx(-9 / 20)
    assert pair.verdict == "worse"
    assert sentence(pair, "A", "B") == f"A is worse than B: {points(pair)}."
    assert "exact McNemar" in basis([pair], once=True)
    assert "another seed" in basis([pair], once=True)
    plan = study.lab.plan(other.spec, study.manifest, study.split(**study.choices))
    assert found.entries[0].trained == plan.trained, "as the form said before"
    assert found.entries[0].figure("accuracy") == 1.0


def test_where_groups_were_kept_apart_whole_groups_are_drawn(study: Study) -> None:
    study.choices = {"rule": "group"}
    runs = [study.ended(name="a", wrong=0), study.ended(name="b", wrong=3, cut=3, strategy="fine_tuning")]
    found = compare(study.lab, runs)
    assert found
    (pair,) = found.pairs
    assert pair.test == "groups"
    assert pair.units == 5 < pair.n
    assert "groups resampled" in basis(found.pairs, once=False)
    assert pair.verdict == "cannot tell"


def test_seeds_are_one_entry_with_their_spread(study: Study) -> None:
    runs = [study.ended(name=f"s{seed}", wrong=wrong, seed=seed) for seed, wrong in enumerate((0, 4, 8))]
    runs.append(study.ended(name="single", wrong=5, strategy="fine_tuning", cut=3))
    found = compare(study.lab, runs)
    assert found
    first, second = found.entries
    assert (first.seeds, second.seeds) == (3, 1)
    assert first.figure("accuracy") == pytest.approx(np.mean([1, 0.8, 0.6]))
    assert first.spread("accuracy") == pytest.approx((0.6, 1.0))
    assert found.pairs[0].test == "seeds"
    low, high = found.interval(0, "accuracy")
    assert low < 0.8 < high


def test_other_splits_are_spread_and_never_tested(study: Study) -> None:
    runs = []
    for seed in range(3):
        study.choices = {"rule": "image", "seed": seed}
        runs += [study.ended(wrong=seed), study.ended(wrong=2, strategy="fine_tuning", cut=3)]
    found = compare(study.lab, runs)
    assert found
    assert [entry.seeds for entry in found.entries] == [3, 3]
    assert (found.contest, found.pairs, found.against(0), find_lead(found).run) == (None, [], [], None)
    one_split = compare(study.lab, runs[:2])
    assert one_split
    assert one_split.contest


def test_adaptations_are_led_by_the_rule_that_chose_their_epochs(study: Study) -> None:
    source, target = study.manifest.domains
    study.choices = {"rule": "transfer", "train_domain": source, "test_domain": target}
    runs = [study.ended(name=name, strategy=name, val=0.9) for name in ("mcc", "dann")]
    for run in runs:
        object.__setattr__(run, "result", {**(run.result or {}), "target": {}})
    found = compare(study.lab, runs)
    assert found
    assert found.chosen_by == f"accuracy on the validation images of {source}", "where no score was kept"
    for run, agreement in zip(runs, (0.5, 0.8), strict=True):
        told = {
            "val": {"balanced_accuracy": 0.9, "accuracy": 0.9},
            "target": {"class_share_agreement": agreement},
        }
        object.__setattr__(run, "result", {**(run.result or {}), **told})
    found = compare(study.lab, runs)
    assert found
    assert found.entries[found.order[0]].name == "dann"
    assert found.chosen_by.startswith("doing well on the source's validation images")


def test_labels_given_by_hand_make_runs_comparable(study: Study) -> None:
    rows = study.manifest.rows
    source, target = study.manifest.domains
    bare = tuple(replace(row, label=None if row.domain == target else row.label) for row in rows)
    study.library.add(replace(study.manifest, rows=bare, name="half labelled"))
    study.choices = {"rule": "transfer", "train_domain": source, "test_domain": target}
    runs = [study.ended(name=name, strategy=name) for name in ("mcc", "dann")]
    assert compare(study.lab, runs) is None
    labels = {row.image: row.label for row in rows}
    for image in study.lab.spot_check(runs[0]).images:
        study.library.answer(runs[0].manifest, image, labels[image])
    found = compare(study.lab, runs)
    assert found
    assert found.pairs[0].n == len(study.lab.spot_check(runs[0]).images) > 0


def test_as_plain_data_it_names_runs_and_says_all_in_words(study: Study) -> None:
    runs = [study.ended(name=f"r{cut}", wrong=cut, strategy="fine_tuning", cut=cut) for cut in range(3)]
    found = compare(study.lab, runs)
    assert found
    data = comparison_object(found)
    assert [each["runs"] for each in data["entries"]] == [[run.id] for run in runs]
    assert [(each["first"], each["second"]) for each in data["pairs"]] == [
        (runs[0].id, runs[1].id), (runs[0].id, runs[2].id), (runs[1].id, runs[2].id),
    ]  # fmt: skip
    assert all("cannot tell apart" in each["words"] and each["pairs"] == 3 for each in data["pairs"])
    assert [each["p_corrected"] for each in data["pairs"]] == [1.0] * 3


def test_signs() -> None:
    assert [signed(each) for each in (0.0123, -0.0123, -0.0001, 0.0)] == ["+1.2", "−1.2", "0.0", "0.0"]


# -- the sweep ----------------------------------------------------------------------------


def test_a_sweep_differs_in_the_cut_alone(study: Study) -> None:
    split = study.split(rule="image")
    specs = sweep_specs(study.manifest, split, {"backbone": "lite0", "lr": 0.01, "device": "cpu"})
    assert [spec.cut for spec in specs] == list(range(10))
    assert {spec.strategy for spec in specs} == {"fine_tuning"}
    assert len({replace(spec, cut=0).id for spec in specs}) == 1
    assert is_sweep(specs)
    assert not is_sweep(specs[:2])
    assert not is_sweep([*specs[:3], replace(specs[3], lr=0.1)])
    deepest = sweep_specs(study.manifest, split, {"strategy": "autoencoder"})[-1]
    assert deepest.cut == 8, "a strategy that changes stages needs one that is free"


@pytest.mark.parametrize("cuts", [[-1], [10], []])
def test_impossible_cuts_are_refused(study: Study, cuts: list[int]) -> None:
    with pytest.raises(UserError, match="from 0 to 9"):
        sweep_specs(study.manifest, study.split(rule="image"), {}, cuts)


def test_what_has_no_cut_to_choose_is_not_swept(study: Study) -> None:
    with pytest.raises(UserError, match="fine_tuning"):
        sweep_specs(study.manifest, study.split(rule="image"), {"strategy": "feature_extraction"})


def test_cuts_as_one_writes_them() -> None:
    assert parse_cuts("all") is None
    assert parse_cuts("0, 3,5") == [0, 3, 5]
    with pytest.raises(UserError, match="0,3,5"):
        parse_cuts("0-5")


def test_a_sweep_trains_what_is_missing_and_nothing_twice(study: Study) -> None:
    wishes = {"device": "cpu", "epochs": 4, "strategy": "fine_tuning"}
    done = study.ended(strategy="fine_tuning", cut=3)
    failed = study.ended("failed", result=False, strategy="fine_tuning", cut=5)
    split = study.split(**study.choices)

    def look(cuts: list[int]):  # type: ignore[no-untyped-def]
        specs: list[RunSpec] = sweep_specs(study.manifest, split, wishes, cuts)
        return look_up(study.lab, study.manifest, split, specs)

    sweep = look([3, 5, 7])
    assert [run and run.id for run in sweep.runs] == [done.id, None, None]
    runs = start_missing(study.lab, sweep, "click")
    assert start_missing(study.lab, sweep, "click") == runs, "the same click twice"
    assert runs[0].id == done.id
    assert failed.id not in {run.id for run in runs}
    again = look([3, 5, 7])
    assert (again.missing, len(again.waiting)) == ([], 2)
