"""A pair by balanced accuracy, as an adaptation and its twin are compared: few units prove nothing, harm is flagged early."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from transfer_core.evaluation.contest import Contest, Gap, Pair


def compare(
    truth: np.ndarray, first: np.ndarray, second: np.ndarray, groups: Sequence[str] | None = None
) -> Pair:
    (found,) = Contest(truth, [first == truth, second == truth], 2, groups, "balanced_accuracy").pairs
    return found


def test_verdicts() -> None:
    truth = np.arange(200) % 2
    right, wrong = truth, 1 - truth
    assert compare(truth, right, wrong).verdict == "better"
    worse = compare(truth, wrong, right)
    assert (worse.verdict, worse.is_harmful) == ("worse", True)
    same = compare(truth, right, right)
    assert (same.verdict, same.is_harmful, same.gap.value) == ("cannot tell", False, 0)
    few = np.arange(10) % 2
    doubtful = compare(few, np.r_[1 - few[:1], few[1:]], few)
    assert (doubtful.verdict, doubtful.is_harmful) == ("cannot tell", True), "a point estimate of -0.1"
    assert compare(truth, np.where(np.arange(200) < 5, 1 - truth, truth), truth).telling == 5


def test_the_measure_decides() -> None:
    """Of the rare class one finds nothing, which accuracy hardly sees and balanced accuracy does."""
    truth = np.r_[np.zeros(500, int), np.ones(20, int)]
    first, second = truth.copy(), truth.copy()
    first[:40], second[500:] = 1, 0
    right = [first == truth, second == truth]
    by_class = Contest(truth, right, 2, measure="balanced_accuracy").pairs[0]
    by_image = Contest(truth, right, 2).pairs[0]
    assert (by_class.verdict, by_image.verdict) == ("better", "worse")
    assert by_class.gap == by_class.balanced_accuracy
    assert by_class.turned().verdict == "worse"


@pytest.mark.parametrize(("value", "flagged"), [(-0.03, True), (-0.0299, False), (0.01, False)])
def test_three_points_fewer_are_flagged_whatever_the_interval_says(value: float, flagged: bool) -> None:
    truth = np.arange(40) % 2
    gap = Gap(value, (-0.2, 0.1), (-0.2, 0.1))
    doubtful = replace(compare(truth, truth, truth), balanced_accuracy=gap)
    assert (doubtful.verdict, doubtful.is_harmful) == ("cannot tell", flagged)


@pytest.mark.parametrize(("groups", "rare"), [(12, 2), (29, 3), (60, 4), (None, 4)])
def test_a_class_that_few_hold_proves_nothing(groups: int | None, rare: int) -> None:
    """All images of the rare class right by one and wrong by the other: of so few all would fall alike by chance too often."""
    held = groups or 200
    truth = np.repeat(np.arange(held) < rare, 5 if groups else 1).astype(int)
    units = [str(each) for each in np.repeat(np.arange(held), 5)] if groups else None
    found = compare(truth, truth, np.zeros_like(truth), units)
    assert (found.gap.value, found.verdict) == (0.5, "cannot tell")
    assert found.gap.interval[0] < found.gap.interval[1]


@pytest.mark.parametrize("measure", ["accuracy", "balanced_accuracy"])
@pytest.mark.parametrize("size", [1, 4])
def test_five_units_that_differ_prove_nothing(measure: str, size: int) -> None:
    """Five of 200 images, or five of 50 groups, all in one direction: 1 of 16 by chance."""
    truth = np.arange(200) % 2
    groups = [f"g{each // size}" for each in range(200)] if size > 1 else None
    for units, verdict in ((5, "cannot tell"), (12, "better")):
        other = np.where(np.arange(200) < units * size, 1 - truth, truth)
        found = Contest(truth, [truth == truth, other == truth], 2, groups, measure).pairs[0]
        assert (found.telling, found.verdict) == (units, verdict)


@pytest.mark.parametrize(("groups", "rare"), [(12, 2), (29, 3), (20, 8)])
def test_equal_models_are_rarely_told_apart_by_groups(groups: int, rare: int) -> None:
    """Of 200 experiments with equal models at most one in twelve has a verdict.

    Of the rare class each model finds another share in every group, of the common one nine in ten. Counting all groups,
    17, 14 and 8 % had one.
    """
    rng, told = np.random.default_rng(5), 0
    units = np.repeat(np.arange(groups), 10)
    truth = (units < rare).astype(int)
    names = [f"{each:03d}" for each in units]
    for _ in range(200):
        found = [np.where(np.arange(groups) < rare, rng.random(groups), 0.9) for _ in range(2)]
        said = [np.where(rng.random(len(units)) < each[units], truth, 1 - truth) for each in found]
        told += compare(truth, said[0], said[1], names).verdict != "cannot tell"
    assert told <= 200 / 12
