"""A first answer from a sample: honest about what it is, and without a trace in the run."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests.support import Lab, same_tensors
from transfer_core.data.manifest import Row
from transfer_core.training import early, filling
from transfer_core.training.early import STRENGTH, choose_sample, early_sample
from transfer_core.training.events import EpochEnded, Progressed, Provisional


def test_a_sample_has_classes_in_their_shares_and_units_whole(lab: Lab) -> None:
    (some, *_) = lab.manifest.labelled
    rows = [
        replace(some, image=f"{n:012d}", pixels=f"p{n}", label="ab"[n % 10 == 0], group=f"g{n // 4 % 300}")
        for n in range(2400)
    ]
    rows += [
        replace(some, image=f"{n:012d}", pixels=f"p{n}", label="b", group="huge") for n in range(3000, 3400)
    ]
    chosen = choose_sample(rows, 200, seed=0)
    assert 190 <= len(chosen) <= 230
    inside = {row.group for row in rows if row.image in chosen}
    assert "huge" not in inside
    assert sorted(row.image for row in rows if row.group in inside) == chosen
    assert all(choose_sample(list(rows), 200, seed=0) == chosen for _ in range(2))
    assert choose_sample(rows, 200, seed=1) != chosen


def test_a_rare_class_is_in_it(lab: Lab) -> None:
    (some, *_) = lab.manifest.labelled
    rows: list[Row] = [
        replace(some, image=f"{n:012d}", pixels=f"p{n}", label="rare" if n < 3 else "usual", group=None)
        for n in range(3000)
    ]
    assert sum(each <= f"{2:012d}" for each in choose_sample(rows, 100, seed=0)) >= 2


def test_it_is_told_once_before_all_else_and_changes_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = lab.spec("feature_extraction", augment="mirror")
    monkeypatch.setattr(filling, "EARLY_FROM", math.inf)
    without = lab.train(spec, setup=lab.setup(spec, scale=1.0))
    assert not [each for each in without.events if isinstance(each, Provisional)]
    monkeypatch.setattr(filling, "EARLY_FROM", 10)
    monkeypatch.setattr(early, "TRAINED", 12)
    monkeypatch.setattr(early, "TESTED", 9)
    own = lab.setup(spec)
    assert own.cache is not None
    own.cache.clear()
    outcome = lab.train(spec, setup=own)
    assert outcome.log == without.log
    assert same_tensors(outcome.last, without.last)
    kinds = [type(each) for each in outcome.events]
    assert kinds.count(Provisional) == 1
    assert kinds.index(Provisional) < kinds.index(EpochEnded)
    before = [each for each in outcome.events[: kinds.index(Provisional)] if isinstance(each, Progressed)]
    assert before[-1].done < before[-1].total, "long before the frozen part is done"
    again = lab.train(spec)
    assert Provisional not in map(type, again.events), "nothing is lacking: the answer itself is quicker"


def test_it_is_what_an_independent_solver_says(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "EARLY_FROM", 10)
    outcome = lab.train(lab.spec("feature_extraction"))
    (told,) = [each for each in outcome.events if isinstance(each, Provisional)]
    setup = outcome.setup
    train, val = early_sample(setup)
    assert set(train) <= set(setup.images("train"))
    assert set(val) <= set(setup.images("val"))
    assert (told.trained, told.tested) == (len(train), len(val))
    with setup.activations(4) as activations:
        x, queries = (activations.at_cut(each).double().numpy() for each in (train, val))
    y, truth = (setup.targets(each).numpy() for each in (train, val))
    oracle = LogisticRegression(C=1 / (len(x) * STRENGTH * np.square(x).mean()), tol=1e-9, max_iter=10_000)
    right = oracle.fit(x, y).predict(queries) == truth
    assert abs(told.accuracy - right.mean()) <= 1 / len(val)
    assert 0 <= told.low <= told.accuracy <= told.high <= 1


@pytest.mark.parametrize("part", ["TRAINED", "TESTED"])
def test_where_every_group_is_too_large_for_a_sample_there_is_none(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(filling, "EARLY_FROM", 10)
    monkeypatch.setattr(early, part, 1)  # of which half is less than any group
    outcome = lab.train(lab.spec("feature_extraction"))
    assert Provisional not in map(type, outcome.events)
    assert outcome.ended.best


def test_other_strategies_have_none(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "EARLY_FROM", 10)
    for strategy in ("fine_tuning", "probe_then_tune"):
        outcome = lab.train(lab.spec(strategy, cut=2, epochs=1))
        assert Provisional not in map(type, outcome.events)
