"""What a threshold costs is counted as a person would count it, and a wish leads to the threshold that fulfils it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer_core.evaluation.decision import Decision, Wishes, say
from transfer_core.evaluation.metrics import exact
from transfer_core.evaluation.operating import (
    consequences,
    referral,
    threshold_for_costs,
    threshold_for_share,
    trade_off,
)
from transfer_core.evaluation.shares import share_of

CLASSES = ("a", "b", "c")


def world(n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are true: each image's class is drawn from them."""
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet([0.6, 0.8, 1.0], n)
    return chances, np.array([rng.choice(3, p=p) for p in chances])


def decided(thresholds: dict[str, float], refer: float = 0.0) -> Decision:
    return Decision(CLASSES, Wishes(thresholds, refer), 1.0, 0.3, 100, shifted=False)


def by_hand(thresholds: dict[str, float], p: np.ndarray) -> int:
    """The class said of one image, as the rule is told to people."""
    reached = {
        name: p[CLASSES.index(name)] / limit
        for name, limit in thresholds.items()
        if p[CLASSES.index(name)] >= limit
    }
    if reached:
        return CLASSES.index(max(reached, key=lambda name: reached[name]))
    free = [number for number, name in enumerate(CLASSES) if name not in thresholds] or [0, 1, 2]
    return max(free, key=lambda number: p[number])


@pytest.mark.parametrize(
    "thresholds", [{}, {"a": 0.2}, {"a": 0.7}, {"a": 0.3, "c": 0.5}, {"a": 0.9, "b": 0.9, "c": 0.9}]
)
def test_the_class_said_follows_the_thresholds(thresholds: dict[str, float]) -> None:
    chances, _ = world()
    assert say(CLASSES, thresholds, chances).tolist() == [by_hand(thresholds, p) for p in chances]
    if not thresholds:
        assert (say(CLASSES, thresholds, chances) == chances.argmax(1)).all()


@pytest.mark.parametrize("refer", [0.0, 0.5, 0.99])
def test_consequences_are_counted_an_image_at_a_time(refer: float) -> None:
    chances, truth = world()
    decision = decided({"a": 0.3}, refer)
    found = consequences(decision, chances, truth, 0, None)
    counts = {"missed": 0, "alarms": 0, "wrong": 0, "referred": 0}
    for p, true in zip(chances, truth, strict=True):
        said = by_hand({"a": 0.3}, p)
        if p[said] < refer:
            counts["referred"] += 1
            continue
        counts["missed"] += true == 0 and said != 0
        counts["alarms"] += true != 0 and said == 0
        counts["wrong"] += said != true
    assert {name: getattr(found, name).count for name in counts} == counts
    own = (truth == 0).sum()
    assert found.missed.interval == pytest.approx(np.multiply(exact(counts["missed"], own), own / len(truth)))
    assert found.missed.interval[1] <= own / len(truth), "more cannot be missed than there are"
    assert found.of_class == (truth == 0).sum()


@given(share=st.floats(0.01, 1), seed=st.integers(0, 50))
def test_the_threshold_finds_the_share_and_no_higher_one_does(share: float, seed: int) -> None:
    chances, truth = world(60, seed)
    scores, positive = chances[:, 0], truth == 0
    if not positive.any():
        return
    threshold = threshold_for_share(scores, positive, share)
    assert (scores[positive] >= threshold).mean() >= share - 1e-9
    assert (scores[positive] >= np.nextafter(threshold, 2)).mean() < share


@pytest.mark.parametrize(("miss", "alarm"), [(10, 1), (1, 1), (1, 5)])
def test_the_threshold_of_costs_is_the_cheapest(miss: float, alarm: float) -> None:
    chances, truth = world(40_000)
    scores, positive = chances[:, 0], truth == 0
    steps, missed, alarms = trade_off(scores, positive)
    costs = miss * missed + alarm * alarms
    at = np.abs(steps - threshold_for_costs(miss, alarm)).argmin()
    assert costs[at] <= costs.min() * 1.02


def test_the_trade_off_is_counted() -> None:
    chances, truth = world()
    for step, missed, alarms in zip(*trade_off(chances[:, 1], truth == 1), strict=True):
        called = chances[:, 1] >= step
        assert missed == pytest.approx(1000 * ((truth == 1) & ~called).mean())
        assert alarms == pytest.approx(1000 * ((truth != 1) & called).mean())


def test_the_least_sure_go_to_a_person_first() -> None:
    rng = np.random.default_rng(1)
    sure = np.round(rng.random(200), 2)  # some equally sure
    right = rng.random(200) < sure
    for share, accuracy in zip(*referral(sure, right), strict=True):
        stays = sure >= np.sort(sure)[round(share * 200)]
        assert stays.sum() == 200 - round(share * 200)
        assert accuracy == pytest.approx(right[stays].mean())
    assert referral(sure, right)[1][0] == pytest.approx(right.mean())


def test_a_share_of_groups_is_as_uncertain_as_groups_are_few() -> None:
    """Each group all flagged or not at all: resampling groups must cover, where single images would be far too sure."""
    rng = np.random.default_rng(2)
    holds = []
    for _ in range(200):
        flags = np.repeat(rng.random(60) < 0.4, 10)
        low, high = share_of(flags, [f"g{number // 10}" for number in range(600)]).interval
        holds.append(low <= 0.4 <= high)
    assert np.mean(holds) > 0.9


def test_of_none_and_of_all_groups_say_how_little_is_known() -> None:
    """Twenty images of each of 8 groups, none flagged: no surer than 8 images would be."""
    groups = [f"g{number // 20}" for number in range(160)]
    assert share_of(np.zeros(160, bool), groups).interval == exact(0, 8)
    assert share_of(np.ones(160, bool), groups).interval == exact(8, 8)


def test_who_goes_to_a_person_is_not_sure_of_what_is_said() -> None:
    chances, _ = world()
    decision = decided({"a": 0.2}, 0.6)
    said = decision.said(chances)
    assert (decision.refers(chances) == (chances[np.arange(len(said)), said] < 0.6)).all()
