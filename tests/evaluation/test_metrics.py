"""Figures against scikit-learn, intervals against published numbers and a plain bootstrap."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn import metrics as sk

from transfer_core.evaluation import metrics as ours
from transfer_core.evaluation.metrics import as_told, exact, make_metrics
from transfer_core.evaluation.words import undefined

CLASSES = ("a", "b", "c", "d")
Labels = np.ndarray


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[Labels, Labels]:
    """True and predicted classes of 1 to 40 images; some classes may not occur."""
    pairs = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
    truth, said = np.array(pairs, dtype=np.int64).T
    return truth, said


@settings(max_examples=60)
@given(outcomes())
def test_figures_are_those_of_scikit_learn(outcome: tuple[Labels, Labels]) -> None:
    truth, said = outcome
    made = make_metrics(truth, said, CLASSES)
    assert made.n == len(truth)
    assert made.accuracy == pytest.approx(sk.accuracy_score(truth, said))
    assert made.correct == sk.accuracy_score(truth, said, normalize=False)
    recalled = sk.recall_score(truth, said, labels=np.unique(truth), average="macro", zero_division=0)
    assert made.balanced_accuracy == pytest.approx(recalled)
    if set(said) <= set(truth) != {truth[0]}:  # scikit-learn warns otherwise
        assert made.balanced_accuracy == pytest.approx(sk.balanced_accuracy_score(truth, said))
    assert made.macro_f1 == pytest.approx(sk.f1_score(truth, said, average="macro"))
    assert np.array_equal(made.confusion, sk.confusion_matrix(truth, said, labels=range(4)))
    rates = sk.precision_recall_fscore_support(truth, said, labels=range(4), zero_division=0)
    for number, (each, *wanted) in enumerate(zip(made.per_class, *rates, strict=True)):
        assert (each.precision, each.recall, each.f1, each.support) == pytest.approx(tuple(wanted), abs=1e-9)
        if (truth != number).any():  # of the others, as a class of their own, how many are found
            found = sk.recall_score(truth != number, said != number)
            assert each.specificity == pytest.approx(found, abs=1e-9)
    if len({*truth, *said}) > 1:
        assert made.kappa == pytest.approx(sk.cohen_kappa_score(truth, said), abs=1e-9)


@settings(max_examples=40)
@given(outcomes(), st.booleans())
def test_every_interval_holds_its_figure_and_lies_between_0_and_1(
    outcome: tuple[Labels, Labels], grouped: bool
) -> None:
    truth, said = outcome
    groups = [f"g{n % 7}" for n in range(len(truth))] if grouped else None
    data = make_metrics(truth, said, CLASSES, groups).to_json()
    for row in [data, *data["per_class"]]:
        for key in row:
            if key.endswith("_ci") and row[key]:
                low, high = row[key]
                assert (-1 if key == "kappa_ci" else 0) <= low < high <= 1
                if row is data and key == "accuracy_ci" and not grouped:
                    assert low <= row["accuracy"] <= high


@pytest.mark.parametrize(("hits", "n", "low", "high"), [
    (81, 263, 0.2527, 0.3676),  # Newcombe 1998, table I, method 5
    (15, 148, 0.0578, 0.1617),
    (0, 20, 0.0000, 0.1684),
    (1, 29, 0.0009, 0.1776),
])  # fmt: skip
def test_the_interval_of_a_proportion_is_the_published_one(
    hits: int, n: int, low: float, high: float
) -> None:
    assert exact(hits, n) == pytest.approx((low, high), abs=6e-5)


@given(n=st.integers(1, 5000), data=st.data())
def test_the_interval_ends_where_what_was_seen_is_a_chance_of_one_in_forty(
    n: int, data: st.DataObject
) -> None:
    hits = data.draw(st.integers(0, n))
    low, high = exact(hits, n)
    assert (binom.sf(hits - 1, n, low) if hits else 0.025) == pytest.approx(0.025, abs=1e-6)
    assert (binom.cdf(hits, n, high) if hits < n else 0.025) == pytest.approx(0.025, abs=1e-6)
    assert (1 - high, 1 - low) == pytest.approx(exact(n - hits, n), abs=1e-9)


@pytest.mark.parametrize("share", [0.75, 0.884, 0.92])
def test_the_interval_of_a_proportion_covers_as_often_as_it_says(share: float) -> None:
    """Not simulated but summed: the chance of each outcome whose interval holds the truth."""
    n = 656
    holds = [low <= share <= high for low, high in (exact(hits, n) for hits in range(n + 1))]
    assert 0.95 <= binom.pmf(np.arange(n + 1), n, share)[holds].sum() <= 0.97


@pytest.mark.parametrize("groups", [None, [f"g{n % 4}" for n in range(12)]])
def test_what_is_not_defined_is_none_and_no_interval_is_without_width(groups: list[str] | None) -> None:
    truth = np.array([0] * 6 + [1] * 6)
    told = make_metrics(truth, np.zeros(12, np.int64), ("all", "never", "absent"), groups).to_json()
    all_, never, absent = told["per_class"]
    assert (all_["precision"], all_["recall"], all_["specificity"]) == (0.5, 1.0, 0.0)
    assert (never["precision"], never["precision_ci"], never["recall"], never["f1"]) == (None, None, 0.0, 0.0)
    assert never["f1_ci"] is None, "all draws are alike"
    assert [absent[name] for name in ("precision", "recall", "f1", "specificity")] == [
        None,
        None,
        None,
        2 / 2,
    ]
    assert undefined(told) == [
        "Never said of these images, so that precision is not defined: never, absent.",
        "Not among these images, so that recall is not defined: absent.",
    ]
    perfect = make_metrics(truth, truth, ("a", "b")).to_json()
    assert (perfect["macro_f1"], perfect["macro_f1_ci"], perfect["kappa_ci"]) == (1.0, None, None)
    assert perfect["accuracy_ci"][1] == 1.0
    # What an older version stored comes out as today's.
    rows = [
        told["per_class"][0],
        {**never, "precision": 0.0, "precision_ci": (0.0, 1.0), "f1_ci": [0, 0]},
        absent,
    ]
    assert as_told(told | {"per_class": rows}) == told == as_told(told)


def test_of_nothing_nothing_is_known() -> None:
    assert exact(0, 0) == (0, 1)
    nothing = np.array([], dtype=np.int64)
    for groups in (None, []):
        made = make_metrics(nothing, nothing, CLASSES, groups)
        assert (made.n, made.accuracy, made.macro_f1) == (0, 0, 0)
        assert made.accuracy_ci == made.macro_f1_ci == made.balanced_accuracy_ci == (0, 1)
        told = json.loads(json.dumps(made.to_json(), allow_nan=False))
        assert {told[name] for name in ("accuracy", "accuracy_ci", "macro_f1", "kappa_ci")} == {None}


def sample(n: int, seed: int, right: float = 0.7) -> tuple[Labels, Labels]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(4, n, p=[0.5, 0.3, 0.15, 0.05])
    return truth, np.where(rng.random(n) < right, truth, rng.integers(0, 4, n))


def naive(
    figure: Callable[[Labels, Labels], float], truth: Labels, said: Labels, units: Labels
) -> tuple[float, float]:
    """A bootstrap that draws units with replacement, one index at a time."""
    rng = np.random.default_rng(5)
    members = [np.flatnonzero(units == unit) for unit in np.unique(units)]
    drawn = [
        np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))]) for _ in range(800)
    ]
    low, high = np.percentile([figure(truth[index], said[index]) for index in drawn], [2.5, 97.5])
    return float(low), float(high)


def macro_f1(truth: Labels, said: Labels) -> float:
    present = np.union1d(truth, said)
    return float(np.mean([2 * np.sum((truth == c) & (said == c)) / (np.sum(truth == c) + np.sum(said == c)) for c in present]))  # fmt: skip


def balanced(truth: Labels, said: Labels) -> float:
    return float(np.mean([np.mean(said[truth == c] == c) for c in np.unique(truth)]))


@pytest.mark.parametrize("grouped", [False, True], ids=["images", "groups"])
@pytest.mark.parametrize("seed", range(3))
def test_the_bootstrap_is_the_plain_one(grouped: bool, seed: int) -> None:
    n = 1200 if grouped else 160  # of few groups percentiles would be too narrow
    truth, said = sample(n, seed)
    units = np.arange(n) // (4 if grouped else 1)
    made = make_metrics(truth, said, CLASSES, [f"g{u}" for u in units] if grouped else None)
    assert made.resampled == ("groups" if grouped else "images")
    assert made.groups == (300 if grouped else None)
    assert made.macro_f1_ci == pytest.approx(naive(macro_f1, truth, said, units), abs=0.03)
    assert made.balanced_accuracy_ci == pytest.approx(naive(balanced, truth, said, units), abs=0.03)
    if grouped:
        plain = naive(lambda t, s: float(np.mean(t == s)), truth, said, units)
        assert made.accuracy_ci == pytest.approx(plain, abs=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_where_images_of_a_group_are_alike_the_interval_is_wider(seed: int) -> None:
    """Ten copies of each image are ten times the rows and no more knowledge."""
    truth, said = (np.repeat(each, 10) for each in sample(60, seed))
    groups = [f"g{n // 10}" for n in range(600)]

    def width(interval: tuple[float, float]) -> float:
        return interval[1] - interval[0]

    by_image, by_group = make_metrics(truth, said, CLASSES), make_metrics(truth, said, CLASSES, groups)
    ratios = [
        width(getattr(by_group, name)) / width(getattr(by_image, name))
        for name in ("accuracy_ci", "macro_f1_ci", "balanced_accuracy_ci")
    ]
    assert ratios[0] == pytest.approx(
        math.sqrt(10), rel=0.15
    )  # the interval moves in steps of an image of 60
    assert min(ratios) > 2


def test_the_interval_covers_the_truth_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 200 samples of 200 images about 95 % hold the true balanced accuracy, 0.7 + 0.3 / 4."""
    monkeypatch.setattr(ours, "RESAMPLES", 400)
    held = 0
    for seed in range(200):
        low, high = make_metrics(*sample(200, seed), CLASSES).balanced_accuracy_ci
        held += low <= 0.775 <= high
    assert 0.86 <= held / 200 <= 0.99


def test_the_same_images_give_the_same_figures() -> None:
    truth, said = sample(50, 1)
    assert make_metrics(truth, said, CLASSES) == make_metrics(truth, said, CLASSES)
    order = np.random.default_rng(0).permutation(50)
    assert make_metrics(truth[order], said[order], CLASSES) == make_metrics(truth, said, CLASSES)
