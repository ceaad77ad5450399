"""Distances between domains: against numpy rewrites, and by their laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transfer_core.losses.alignment import BANDWIDTHS, coral, mk_mmd


def clouds(seed: int, n: int, m: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(0.5, 2.0, size=(m, d))


def mmd_by_hand(a: np.ndarray, b: np.ndarray) -> float:
    """Every pair, one after the other."""
    both = [*a, *b]
    pairs = [np.sum((x - y) ** 2) for i, x in enumerate(both) for j, y in enumerate(both) if i != j]
    scale = np.mean(pairs)

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return sum(np.exp(-np.sum((x - y) ** 2) / (2 * q * scale)) for q in BANDWIDTHS)

    def mean(xs: np.ndarray, ys: np.ndarray) -> float:
        return float(np.mean([kernel(x, y) for x in xs for y in ys]))

    return mean(a, a) + mean(b, b) - 2 * mean(a, b)


@given(st.integers(0, 1000), st.integers(2, 7), st.integers(2, 7), st.integers(1, 5))
def test_mmd_is_what_the_paper_says(seed: int, n: int, m: int, d: int) -> None:
    a, b = clouds(seed, n, m, d)
    found = mk_mmd(torch.from_numpy(a), torch.from_numpy(b)).item()
    assert found == pytest.approx(mmd_by_hand(a, b), abs=1e-9)
    assert found >= 0
    assert mk_mmd(torch.from_numpy(b), torch.from_numpy(a)).item() == pytest.approx(found)
    assert mk_mmd(torch.from_numpy(a), torch.from_numpy(a)).item() == pytest.approx(0, abs=1e-9)


@given(st.integers(0, 1000), st.integers(2, 7), st.integers(2, 7), st.integers(1, 5))
def test_coral_is_what_the_paper_says(seed: int, n: int, m: int, d: int) -> None:
    a, b = clouds(seed, n, m, d)
    gap = np.cov(a, rowvar=False).reshape(d, d) - np.cov(b, rowvar=False).reshape(d, d)
    found = coral(torch.from_numpy(a), torch.from_numpy(b)).item()
    assert found == pytest.approx(np.sum(gap**2) / (4 * d * d))
    assert coral(torch.from_numpy(a), torch.from_numpy(a + 3)).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("distance", [mk_mmd, coral])
def test_following_the_gradient_brings_the_clouds_together(distance: object) -> None:
    a, b = (torch.from_numpy(each) for each in clouds(0, 20, 20, 3))
    moved = b.clone().requires_grad_()
    before = distance(a, moved)  # type: ignore[operator]
    for _ in range(50):
        (step,) = torch.autograd.grad(distance(a, moved), moved)  # type: ignore[operator]
        moved = (moved - 2.0 * step).detach().requires_grad_()
    assert distance(a, moved) < before  # type: ignore[operator]
