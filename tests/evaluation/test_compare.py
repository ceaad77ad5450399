"""Paired differences: the interval covers, groups widen it, and the three verdicts mean what they say."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from transfer_core.evaluation.compare import Difference, paired_difference


def draw(
    rng: np.random.Generator, n: int, first: float, second: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth = rng.integers(0, 2, n)
    said = [np.where(rng.random(n) < right, truth, 1 - truth) for right in (first, second)]
    return truth, said[0], said[1]


def test_the_value_is_scikit_learns() -> None:
    truth, first, second = draw(np.random.default_rng(0), 200, 0.9, 0.7)
    found = paired_difference(truth, first, second, 2)
    wanted = balanced_accuracy_score(truth, first) - balanced_accuracy_score(truth, second)
    assert found.value == pytest.approx(wanted, abs=1e-9)
    other = paired_difference(truth, second, first, 2)
    assert other.value == pytest.approx(-found.value)
    assert other.interval == pytest.approx((-found.interval[1], -found.interval[0]), abs=0.02)


def test_the_interval_covers() -> None:
    """Of 400 drawn experiments with a true difference of 0.1, the interval holds it in 93 to 97 %."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        truth, first, second = draw(rng, 300, 0.85, 0.75)
        low, high = paired_difference(truth, first, second, 2).interval
        hits += low <= 0.10 <= high
    assert 0.93 <= hits / 400 <= 0.97


def test_verdicts() -> None:
    truth = np.arange(200) % 2
    right, wrong = truth, 1 - truth
    assert paired_difference(truth, right, wrong, 2).verdict == "better"
    worse = paired_difference(truth, wrong, right, 2)
    assert (worse.verdict, worse.is_harmful) == ("worse", True)
    same = paired_difference(truth, right, right, 2)
    assert (same.verdict, same.is_harmful, same.interval) == ("cannot tell", False, (0.0, 0.0))
    slightly = truth.copy()
    slightly[[0, 1, 2, 3, 4, 5, 6, 7]] = 1 - slightly[[0, 1, 2, 3, 4, 5, 6, 7]]
    few = np.arange(10) % 2
    doubtful = paired_difference(few, np.r_[1 - few[:1], few[1:]], few, 2)
    assert (doubtful.verdict, doubtful.is_harmful) == ("cannot tell", True), "a point estimate of -0.1"


@pytest.mark.parametrize(("value", "flagged"), [(-0.03, True), (-0.0299, False), (0.01, False)])
def test_three_points_fewer_are_flagged_whatever_the_interval_says(value: float, flagged: bool) -> None:
    doubtful = Difference(value, (-0.2, 0.1), n=100, resampled="images")
    assert (doubtful.verdict, doubtful.is_harmful) == ("cannot tell", flagged)


def test_groups_that_err_together_widen_the_interval() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, 400)
    groups = np.arange(400) // 20
    bad = rng.random(20)[groups] < 0.3
    first, second = truth, np.where(bad, 1 - truth, truth)
    by_image = paired_difference(truth, first, second, 2)
    by_group = paired_difference(truth, first, second, 2, [str(each) for each in groups])
    assert by_group.value == by_image.value
    assert np.ptp(by_group.interval) > 2 * np.ptp(by_image.interval)
    assert (by_group.resampled, by_image.resampled) == ("groups", "images")
