"""Validators without labels: by hand, and in the cases where the right answer is plain."""

from __future__ import annotations

import numpy as np
import pytest

from transfer_core.evaluation.validators import (
    class_share_agreement,
    information_maximisation,
    soft_neighbourhood_density,
)


def test_information_is_most_where_predictions_are_sure_and_even() -> None:
    sure_and_even = np.eye(4)[np.arange(40) % 4]
    assert information_maximisation(sure_and_even) == pytest.approx(1.0, abs=1e-6)
    assert information_maximisation(np.full((10, 4), 0.25)) == pytest.approx(0.0, abs=1e-9)
    assert information_maximisation(np.eye(4)[np.zeros(10, int)]) == pytest.approx(0.0, abs=1e-6), (
        "a collapse"
    )


def test_class_shares_agree_as_far_as_they_overlap() -> None:
    said = np.eye(3)[[0] * 6 + [1] * 3 + [2]]  # shares 0.6, 0.3, 0.1
    assert class_share_agreement(said, (0.6, 0.3, 0.1)) == pytest.approx(1.0)
    assert class_share_agreement(said, (0.2, 0.3, 0.5)) == pytest.approx(0.2 + 0.3 + 0.1)
    assert class_share_agreement(said, (0.0, 0.0, 1.0)) == pytest.approx(0.1)
    assert class_share_agreement(np.eye(2)[[0, 0]], (0.0, 1.0)) == pytest.approx(0.0)
    assert class_share_agreement(np.eye(4)[[0, 1]], (0.25, 0.25, 0.25, 0.25)) == pytest.approx(0.5)


def test_density_by_hand() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 6)
    entropies = []
    for i in range(6):
        near = [p[i] @ p[j] / np.linalg.norm(p[i]) / np.linalg.norm(p[j]) / 0.05 for j in range(6) if j != i]
        shares = np.exp(near) / np.sum(np.exp(near))
        entropies.append(-np.sum(shares * np.log(shares)))
    assert soft_neighbourhood_density(p) == pytest.approx(np.mean(entropies))


def test_density_is_higher_where_predictions_form_clusters() -> None:
    rng = np.random.default_rng(0)
    clustered = 0.9 * np.eye(3)[np.arange(60) % 3] + 0.1 * rng.dirichlet(np.ones(3), 60)
    assert soft_neighbourhood_density(clustered) > soft_neighbourhood_density(rng.dirichlet(np.ones(3), 60))
    many = np.tile(clustered, (50, 1))
    assert np.isfinite(soft_neighbourhood_density(many))
