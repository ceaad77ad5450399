"""Tests of two models on the same images: against scipy, an example by hand, and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from transfer_core.evaluation.paired import (
    holm,
    mcnemar,
    more_images,
    round_up,
    student_p,
    student_quantile,
    units_needed,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [(0, 0), (1, 0), (0, 5), (6, 0), (3, 3), (3, 4), (12, 5), (60, 95), (2_000, 2_150), (30_000, 29_000)],
)
def test_mcnemar_is_the_exact_binomial_test(one: int, other: int) -> None:
    wanted = binomtest(one, one + other, 0.5).pvalue if one + other else 1.0
    assert mcnemar(one, other) == pytest.approx(wanted, rel=1e-8)
    assert mcnemar(one, other) == mcnemar(other, one)


def test_holm_by_hand() -> None:
    # 4 x 0.005 = 0.02; 3 x 0.01 = 0.03; 2 x 0.03 = 0.06; 1 x 0.04 = 0.04, not below the 0.06 before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.3]) == [0.3]
    assert holm([]) == []


def test_student() -> None:
    assert student_quantile(0.975, 10) == pytest.approx(2.228139, abs=1e-6)  # as printed in every table
    assert student_p(-2.228139, 10) == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize(("differ", "gap", "alpha"), [(0.20, 0.06, 0.05), (0.10, 0.03, 0.05 / 15)])
def test_so_many_images_show_the_difference_four_times_in_five(
    differ: float, gap: float, alpha: float
) -> None:
    n = round(units_needed(gap, differ - gap**2, alpha=alpha))
    rng = np.random.default_rng(5)
    chances = [(differ + gap) / 2, (differ - gap) / 2, 1 - differ]
    drawn = rng.multinomial(n, chances, size=4_000)
    power = np.mean([mcnemar(one, other) < alpha for one, other, _ in drawn])
    assert 0.77 <= power <= 0.83


def test_seeds_that_differ_too_much_are_not_cured_by_images() -> None:
    plain = units_needed(0.05, 0.2)
    assert math.isfinite(plain)
    assert plain < units_needed(0.05, 0.2, fixed=0.01**2) < math.inf
    assert units_needed(0.05, 0.2, fixed=0.02**2) == math.inf
    assert units_needed(0.0, 0.2) == math.inf


def test_numbers_are_rounded_up_to_two_digits_and_none_is_beyond_reason() -> None:
    assert [round_up(each) for each in (0, 7, 12.1, 99.5, 101, 1_249, 2_300)] == [
        0,
        7,
        13,
        100,
        110,
        1_300,
        2_300,
    ]
    assert more_images(900, 656) == 250
    assert more_images(600, 656) == 1, "a test that fell short by a hair still asks for something"
    assert more_images(300_000, 656) is None
    assert more_images(math.inf, 656) is None
    assert more_images(300_000, 50_000) == 250_000
