"""Intervals from few groups of images: as wide as it takes, and never narrower than if images were independent."""

from __future__ import annotations

import numpy as np
import pytest

from transfer_core.evaluation.draws import draw_sums
from transfer_core.evaluation.metrics import exact, make_metrics
from transfer_core.evaluation.shares import share_of


def patients(number: int, seed: int, scatter: float = 4.0, each: int = 10) -> tuple[np.ndarray, list[str]]:
    """Images of patients, some of whom are easier than others: right in 80 of 100 cases over all patients."""
    rng = np.random.default_rng(seed)
    chances = rng.beta(0.8 * scatter, 0.2 * scatter, number)
    right = rng.random((number, each)) < chances[:, None]
    return right.ravel(), [f"p{n // each}" for n in range(number * each)]


@pytest.mark.parametrize("number", [4, 8, 15, 40])
def test_intervals_of_few_patients_cover(number: int) -> None:
    held, naive = [], []
    for seed in range(250):
        right, groups = patients(number, seed)
        low, high = share_of(right, groups).interval
        held.append(low <= 0.8 <= high)
        low, high = exact(right.sum(), len(right))
        naive.append(low <= 0.8 <= high)
    assert np.mean(held) > 0.91 > 0.85 > np.mean(naive)


@pytest.mark.parametrize("number", [2, 3, 40])
def test_no_interval_is_narrower_than_by_image(number: int) -> None:
    """Patients who are alike by chance do not make a figure surer."""
    n = 16 * number
    truth = np.arange(n) % 2
    said = np.where(np.arange(n) % 16 < 6, 1 - truth, truth)  # 10 of 16 right for every patient
    by_image, by_patient = (
        make_metrics(truth, said, ("a", "b"), groups) for groups in (None, [f"p{i // 16}" for i in range(n)])
    )
    for name in ("accuracy_ci", "macro_f1_ci", "kappa_ci", "balanced_accuracy_ci"):
        (low, high), (lowest, highest) = getattr(by_image, name), getattr(by_patient, name)
        assert highest - lowest >= 0.93 * (high - low), name  # the ways to measure it differ a little
    assert by_patient.accuracy_ci[0] < by_patient.accuracy < by_patient.accuracy_ci[1]


def test_one_patient_tells_nothing_of_others() -> None:
    truth = np.array([0, 1] * 10)
    said = np.array([0, 1] * 8 + [1, 1, 0, 0])
    made = make_metrics(truth, said, ("a", "b"), ["p"] * 20)
    assert made.accuracy_ci == made.macro_f1_ci == made.balanced_accuracy_ci == (0, 1)
    assert made.kappa_ci == (-1, 1)


def test_alike_units_drawn_together_are_drawn_as_often_as_each_by_itself() -> None:
    own = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [5.0, 5.0]])
    drawn = draw_sums(own, np.random.default_rng(0), 100_000)
    assert drawn.mean(0) == pytest.approx(own.sum(0), rel=0.01)
    assert drawn.var(0) == pytest.approx(4 * own.var(0), rel=0.02)
