"""Prediction sets: the coverage that was asked for, whatever the model; more for more, and never nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from transfer_core.evaluation.conformal import fit_conformal, prediction_sets


def world(
    rng: np.random.Generator, n: int, classes: int = 5, skill: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """A model that is right more or less often, and wrong about how sure it may be."""
    truth = rng.integers(0, classes, n)
    logits = rng.normal(0, 1, (n, classes))
    logits[np.arange(n), truth] += skill
    return softmax(2 * logits, axis=1), truth


def grouped_world(
    rng: np.random.Generator, groups: int, size: int
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Two classes, and groups that lean to one or the other as a whole."""
    truth = rng.integers(0, 2, groups * size)
    lean = np.repeat(rng.normal(0, 3, groups), size) + rng.normal(0, 1, groups * size)
    p = 1 / (1 + np.exp(-lean - 3 * (2 * truth - 1)))
    return np.stack([1 - p, p], axis=1), truth, [f"g{number // size}" for number in range(groups * size)]


@pytest.mark.parametrize(("groups", "size", "coverage"), [(6, 100, 0.8), (12, 50, 0.9), (30, 10, 0.9)])
def test_covers_images_of_new_groups(groups: int, size: int, coverage: float) -> None:
    """Groups differ by more than their images do: counted by image alone less is held."""
    found, naive = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        probabilities, truth, names = grouped_world(rng, groups, size)
        new, answers, _ = grouped_world(rng, 20, size)
        for own, held in ((names, found), (None, naive)):
            inside = new >= fit_conformal(probabilities, truth, coverage, own).threshold
            held.append(inside[np.arange(len(answers)), answers].mean())
    assert np.mean(found) >= coverage - 0.01
    assert np.mean(naive) < np.mean(found)


def test_groups_of_one_image_are_images() -> None:
    rng = np.random.default_rng(0)
    probabilities, truth = world(rng, 100)
    alone = fit_conformal(probabilities, truth, 0.9, [str(number) for number in range(100)])
    assert alone == fit_conformal(probabilities, truth, 0.9)
    assert fit_conformal(probabilities, truth, 0.9, ["a"] * 100).threshold == 0


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("skill", [0.0, 1.0, 3.0])
def test_covers_as_often_as_asked(coverage: float, skill: float) -> None:
    """On average over calibration sets: the promise of the method. A very good model covers more, as no set is empty."""
    found, right = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        rule = fit_conformal(*world(rng, 200, skill=skill), coverage)
        probabilities, truth = world(rng, 500, skill=skill)
        sets = prediction_sets(rule.threshold, probabilities)
        found.append(sets[np.arange(500), truth].mean())
        right.append(np.mean(probabilities.argmax(1) == truth))
    assert coverage - 0.01 <= np.mean(found)
    if np.mean(right) < coverage:
        assert np.mean(found) <= coverage + 0.02


@given(seed=st.integers(0, 999), n=st.integers(1, 60))
def test_more_coverage_is_never_a_smaller_set_and_no_set_is_empty(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    calibration, probabilities = world(rng, n), world(rng, 20)[0]
    sets = [
        prediction_sets(fit_conformal(*calibration, coverage).threshold, probabilities)
        for coverage in (0.5, 0.8, 0.9, 0.99)
    ]
    assert all((small <= large).all() for small, large in itertools.pairwise(sets))
    assert all(each[np.arange(20), probabilities.argmax(1)].all() for each in sets)


def test_too_few_images_promise_nothing_but_all_classes() -> None:
    rule = fit_conformal(*world(np.random.default_rng(0), 8), 0.95)
    assert not rule.is_possible
    assert prediction_sets(rule.threshold, world(np.random.default_rng(1), 5)[0]).all()


def test_sets_have_no_gaps() -> None:
    rng = np.random.default_rng(2)
    rule = fit_conformal(*world(rng, 100), 0.9)
    probabilities, _ = world(rng, 100)
    for inside, shares in zip(prediction_sets(rule.threshold, probabilities), probabilities, strict=True):
        assert inside[np.argsort(-shares)].tolist() == sorted(inside.tolist(), reverse=True)
