"""Temperature: against a general optimiser, never another class, and right where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from transfer_core.evaluation.calibrate import (
    COLDEST,
    HOTTEST,
    apply_temperature,
    fit_temperature,
    reliability,
)


def world(seed: int, n: int, classes: int, too_sure: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are `too_sure` times too far apart in logits, and classes drawn from the true ones."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, classes))
    truth = np.array([rng.choice(classes, p=each) for each in softmax(logits, axis=1)])
    return softmax(too_sure * logits, axis=1), truth


@pytest.mark.parametrize("too_sure", [0.5, 1.0, 3.0])
def test_finds_how_much_too_sure_it_is(too_sure: float) -> None:
    probabilities, truth = world(0, 20_000, 4, too_sure)
    found = fit_temperature(probabilities, truth)
    assert found == pytest.approx(too_sure, rel=0.05)
    before, after = (
        reliability(each, truth).error for each in (probabilities, apply_temperature(probabilities, found))
    )
    assert after < 0.02
    assert after <= before + 0.002


@given(seed=st.integers(0, 999), n=st.integers(5, 80), classes=st.integers(2, 6), too_sure=st.floats(0.3, 4))
def test_as_a_general_optimiser_finds_it(seed: int, n: int, classes: int, too_sure: float) -> None:
    probabilities, truth = world(seed, n, classes, too_sure)
    assume((probabilities.argmax(1) != truth).any())  # where all are right there is nothing to fit
    logits = np.log(probabilities)

    def loss(temperature: float) -> float:
        return float(-log_softmax(logits / temperature, axis=1)[np.arange(n), truth].mean())

    found = fit_temperature(probabilities, truth)
    oracle = minimize_scalar(lambda log: loss(np.exp(log)), bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-10})  # fmt: skip
    assert loss(found) <= oracle.fun + 1e-7


def test_where_all_are_right_nothing_is_fitted() -> None:
    """Sixty images right by chance or by skill: no reason to be surer than the model is."""
    probabilities = np.tile([0.7, 0.2, 0.1], (60, 1))
    assert fit_temperature(probabilities, np.zeros(60, np.int64)) == 1.0


@given(seed=st.integers(0, 999), temperature=st.floats(COLDEST, HOTTEST))
def test_another_temperature_is_never_another_class(seed: int, temperature: float) -> None:
    probabilities, _ = world(seed, 50, 5, 1.0)
    changed = apply_temperature(probabilities, temperature)
    assert np.array_equal(changed.argmax(1), probabilities.argmax(1))
    assert np.allclose(changed.sum(1), 1)


def test_certain_probabilities_stay_numbers() -> None:
    certain = np.eye(3)[[0, 1, 2, 0]]
    assert np.isfinite(apply_temperature(certain, 2.0)).all()
    assert fit_temperature(certain, np.array([0, 1, 2, 1])) > 1
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, int)) == 1.0


def test_the_error_counted_by_hand() -> None:
    """Four images said with 0.9, three of them right, and four with 0.6, one right."""
    sure = np.array([0.9] * 4 + [0.6] * 4)
    truth = np.array([0, 0, 0, 1, 0, 1, 1, 1])
    found = reliability(np.stack([sure, 1 - sure], axis=1), truth, bins=10)
    assert found.error == pytest.approx(0.5 * (0.9 - 0.75) + 0.5 * (0.6 - 0.25))
    assert found.images.tolist() == [4, 4]
