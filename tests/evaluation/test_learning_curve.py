"""The learning curve: its law recovers what made it, and its study learns from no image that it is measured on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer_core.evaluation.learning_curve import LearningCurve, measure_curve, power_law
from transfer_core.evaluation.probe import fit_predict, reduced

SIZES = np.array([50, 100, 200, 400, 800, 1600])


@given(floor=st.floats(0, 0.3), scale=st.floats(0.1, 1.0), rate=st.floats(0.2, 1.2))
@settings(max_examples=40, deadline=None)
def test_the_law_that_made_a_curve_is_found_again(floor: float, scale: float, rate: float) -> None:
    errors = floor + scale * SIZES**-rate
    ahead = np.array([1600.0, 3200.0, 6400.0])
    assert np.allclose(power_law(SIZES, errors, ahead), floor + scale * ahead**-rate, atol=4e-3)


@given(st.lists(st.floats(0, 1), min_size=6, max_size=6))
@settings(max_examples=40, deadline=None)
def test_more_images_never_promise_more_errors(errors: list[float]) -> None:
    """However a curve came out: floor and scale are not negative."""
    ahead = np.linspace(1600, 20_000, 7)
    found = power_law(SIZES, np.array(errors), ahead)
    assert (np.diff(found) <= 1e-12).all()
    assert (found >= 0).all()


def test_the_projection_holds_what_came_of_it() -> None:
    """Learnt from the beginning of a curve whose rest is known, over many worlds: the range is no ornament."""
    rng = np.random.default_rng(1)
    inside = []
    for _ in range(60):
        noise = rng.normal(0, 0.012, (10, 6))
        curve = LearningCurve(SIZES, 1 - (0.08 + 1.1 * SIZES**-0.5) + noise)
        _, low, high = curve.project(np.array([1600.0]))
        inside.append(low[0] <= 1 - (0.08 + 1.1 * 1600**-0.5) <= high[0])
    assert np.mean(inside) > 0.8


@pytest.mark.parametrize("grouped", [False, True])
def test_a_probe_learns_with_more_images(grouped: bool) -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, 400)
    features = rng.normal(0, 1, (400, 40)) + 0.5 * truth[:, None] * np.linspace(0, 1, 40)
    groups = [f"g{number // 8}" for number in range(400)] if grouped else None
    told: list[tuple[int, int]] = []
    curve = measure_curve(features, truth, groups, 2, lambda *at: told.append(at))
    means = curve.accuracies.mean(0)
    assert curve.accuracies.shape == (10, len(curve.sizes))
    assert means[-1] > means[0] + 0.05
    assert told[-1][0] == told[-1][1]


def test_nothing_is_measured_on_what_was_learnt() -> None:
    """Labels by lot over features in which each group is one point: whoever saw it would know it."""
    rng = np.random.default_rng(3)
    features = np.repeat(rng.normal(0, 1, (40, 60)), 5, axis=0)
    truth, groups = np.repeat(rng.integers(0, 2, 40), 5), [f"g{number // 5}" for number in range(200)]
    assert measure_curve(features, truth, groups, 2).accuracies[:, -1].mean() < 0.65


def test_fewer_directions_keep_distances() -> None:
    """Of features that lie in few directions nothing is lost, up to a scale for them all."""
    rng = np.random.default_rng(4)
    features = rng.normal(0, 1, (80, 12)) @ rng.normal(0, 1, (12, 300))
    x = reduced(features, 12)
    before, after = (np.linalg.norm(each[:1] - each[1:], axis=1) for each in (features, x))
    assert np.allclose(after / before, (after / before)[0], rtol=1e-9)
    assert np.square(x).mean() == pytest.approx(1)


def test_a_class_that_nobody_showed_is_not_said() -> None:
    rng = np.random.default_rng(5)
    x, truth = rng.normal(0, 1, (30, 4)), rng.integers(0, 2, 30)
    said = fit_predict(x, truth * 2, x, 4, 1e-2)
    assert np.allclose(said.sum(1), 1)
    assert not said[:, [1, 3]].any()
    assert (fit_predict(x, np.zeros(30, np.int64), x, 2, 1e-2)[:, 0] == 1).all()
