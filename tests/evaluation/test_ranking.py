"""Curves and areas against scikit-learn, and intervals that cover as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from transfer_core.evaluation.ranking import make_curves


@given(
    truth=st.lists(st.booleans(), min_size=2, max_size=60).filter(lambda each: 0 < sum(each) < len(each)),
    levels=st.integers(1, 12),
    seed=st.integers(0, 999),
)
def test_as_scikit_learn_has_them(truth: list[bool], levels: int, seed: int) -> None:
    """Few levels: many ties."""
    positive = np.array(truth)
    scores = np.random.default_rng(seed).integers(0, levels, len(truth)) / levels
    ours = make_curves(scores, positive)
    assert ours.roc_area == pytest.approx(roc_auc_score(positive, scores), abs=1e-9)
    assert ours.average_precision == pytest.approx(average_precision_score(positive, scores), abs=1e-9)
    fallout, recall, thresholds = roc_curve(positive, scores, drop_intermediate=False)
    assert np.allclose(ours.fallout, fallout, atol=1e-9)
    assert np.allclose(ours.recall, recall, atol=1e-9)
    assert np.allclose(ours.thresholds[1:], thresholds[1:])
    precision, recall, _ = precision_recall_curve(positive, scores)
    assert np.allclose(ours.precision[::-1], precision, atol=1e-9)
    assert np.allclose(ours.recall[::-1], recall, atol=1e-9)


def test_one_side_alone_has_no_area() -> None:
    for truth in ([True] * 5, [False] * 5):
        ours = make_curves(np.linspace(0, 1, 5), np.array(truth))
        assert np.isnan(ours.roc_area)
        assert ours.roc_area_ci == (0.0, 1.0)


def world(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    positive = rng.random(n) < 0.4
    return rng.normal(positive * 1.0, 1.0), positive


def test_the_intervals_cover() -> None:
    truth = make_curves(*world(np.random.default_rng(0), 400_000))
    roc, average = 0, 0
    for seed in range(1, 401):
        found = make_curves(*world(np.random.default_rng(seed), 200))
        roc += found.roc_area_ci[0] <= truth.roc_area <= found.roc_area_ci[1]
        average += found.average_precision_ci[0] <= truth.average_precision <= found.average_precision_ci[1]
    assert 0.93 <= roc / 400 <= 0.97
    assert 0.93 <= average / 400 <= 0.97


def test_groups_that_err_together_widen_the_interval() -> None:
    rng = np.random.default_rng(3)
    shift = rng.normal(0, 1, 30).repeat(20)
    positive = rng.random(600) < 0.5
    scores = positive + shift + rng.normal(0, 0.3, 600)
    groups = [f"g{n // 20}" for n in range(600)]
    alone, together = make_curves(scores, positive), make_curves(scores, positive, groups)
    assert alone.roc_area == together.roc_area
    assert np.diff(together.roc_area_ci) > 1.3 * np.diff(alone.roc_area_ci)


@pytest.mark.parametrize("grouped", [False, True])
def test_fifty_thousand_are_no_burden(grouped: bool) -> None:
    """The intervals of many images come from coarser scores, and are those of the finest."""
    scores, positive = world(np.random.default_rng(5), 50_000)
    found = make_curves(scores, positive, [str(n // 4) for n in range(50_000)] if grouped else None)
    half = np.diff(found.roc_area_ci)[0] / 2
    delong = np.sqrt(np.var(_placements(scores, positive)) / positive.sum() + np.var(_placements(-scores, ~positive)) / (~positive).sum())  # fmt: skip
    assert half == pytest.approx(1.96 * delong, rel=0.15)


def _placements(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """The share of the others that each image of the class is put before (DeLong et al. 1988)."""
    others = np.sort(scores[~positive])
    return np.searchsorted(others, scores[positive]) / len(others)
