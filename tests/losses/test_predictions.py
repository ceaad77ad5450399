"""Losses on predictions: class confusion, discrepancy, pseudo-labels, mixed labels, prototypes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transfer_core.losses.confusion import class_confusion, discrepancy, share_divergence
from transfer_core.losses.episodes import class_means, fit_linear, negative_distances
from transfer_core.losses.pseudo import aligned, pseudo_label_loss
from transfer_core.losses.supervised import weighted_cross_entropy
from transfer_core.models.heads import RunningShares
from transfer_core.training.labels import soften


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def logits(seed: int, n: int, c: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, size=(n, c))


@given(st.integers(0, 1000), st.integers(2, 9), st.integers(2, 5))
def test_class_confusion_is_what_the_paper_says(seed: int, n: int, c: int) -> None:
    z = logits(seed, n, c)
    p = softmax(z / 2.5)
    w = 1 + np.exp(np.sum(p * np.log(p), axis=1))
    w = n * w / w.sum()
    confusion = np.array(
        [[sum(w[i] * p[i, j] * p[i, k] for i in range(n)) for k in range(c)] for j in range(c)]
    )
    confusion /= confusion.sum(1, keepdims=True)
    wanted = sum(confusion[j, k] for j in range(c) for k in range(c) if j != k) / c
    assert class_confusion(torch.from_numpy(z)).item() == pytest.approx(wanted)


def test_clear_cut_predictions_are_not_confused() -> None:
    assert class_confusion(100 * torch.eye(3)).item() == pytest.approx(0, abs=1e-9)
    assert class_confusion(torch.zeros(6, 3)).item() == pytest.approx(2 / 3)


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(2, 5))
def test_discrepancy_is_the_mean_gap(seed: int, n: int, c: int) -> None:
    a, b = logits(seed, n, c), logits(seed + 1, n, c)
    found = discrepancy(torch.from_numpy(a), torch.from_numpy(b)).item()
    assert found == pytest.approx(np.abs(softmax(a) - softmax(b)).mean())
    assert discrepancy(torch.from_numpy(a), torch.from_numpy(a)).item() == 0


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(2, 5))
def test_class_shares_diverge_as_kullback_and_leibler_say(seed: int, n: int, c: int) -> None:
    z, shares = logits(seed, n, c), np.random.default_rng(seed).dirichlet(np.ones(c))
    wanted = sum(q * np.log(q / p) for q, p in zip(shares, softmax(z).mean(0), strict=True))
    found = share_divergence(torch.from_numpy(z), torch.from_numpy(shares)).item()
    assert found == pytest.approx(wanted, rel=1e-4, abs=1e-6)


def test_a_class_that_is_no_longer_said_costs_most() -> None:
    shares, gone = torch.tensor([0.5, 0.5]), torch.tensor([[20.0, 0.0]])
    assert share_divergence(gone, shares) > 5 * share_divergence(torch.tensor([[1.0, 0.0]]), shares) > 0


@given(st.integers(0, 1000), st.integers(1, 8), st.floats(0.3, 0.99))
def test_only_sure_predictions_teach(seed: int, n: int, threshold: float) -> None:
    weak, strong = logits(seed, n, 3), logits(seed + 1, n, 3)
    p = softmax(weak)
    each = [-np.log(softmax(strong)[i, p[i].argmax()]) if p[i].max() >= threshold else 0.0 for i in range(n)]
    start = torch.from_numpy(weak).requires_grad_()
    loss, used = pseudo_label_loss(start, torch.from_numpy(strong).requires_grad_(), threshold)
    assert loss.item() == pytest.approx(np.mean(each))
    assert used.item() == pytest.approx(np.mean(p.max(1) >= threshold))
    loss.backward()
    assert start.grad is None, "the teacher is not taught"


def test_alignment_moves_the_mean_where_it_should_be() -> None:
    p = torch.from_numpy(softmax(logits(0, 500, 2) + np.array([2.0, 0.0])))
    wanted = torch.tensor([0.3, 0.7], dtype=torch.float64)
    found = aligned(p, wanted, p.mean(0))
    assert found.sum(1).numpy() == pytest.approx(np.ones(500))
    assert torch.dist(found.mean(0), wanted) < torch.dist(p.mean(0), wanted) / 1.5


def test_what_is_said_is_averaged_over_batches() -> None:
    batches = [torch.from_numpy(softmax(logits(seed, 4, 3))).float() for seed in range(5)]
    running, kept = RunningShares(3), batches[0].mean(0)
    for batch in batches:
        found = running.take(batch)
        kept = 0.95 * kept + 0.05 * batch.mean(0)
    assert torch.allclose(found, kept)
    assert torch.equal(RunningShares(3).take(batches[2]), batches[2].mean(0)), "no memory of zeros"


@given(st.integers(0, 1000), st.integers(2, 8), st.booleans(), st.sampled_from([0.0, 0.1]))
def test_a_mixture_counts_for_both_its_labels(seed: int, n: int, mixed: bool, smoothing: float) -> None:
    rng = np.random.default_rng(seed)
    z, weights = logits(seed, n, 3), np.array([0.5, 1.0, 1.5])
    y, other = rng.integers(3, size=n), rng.integers(3, size=n)
    share = rng.uniform(0.5, 1, n) if mixed else np.ones(n)
    log_p = np.log(softmax(z))

    def loss(labels: np.ndarray) -> np.ndarray:
        own = weights[labels] * -log_p[np.arange(n), labels]
        return (1 - smoothing) * own + smoothing / 3 * -(log_p * weights).sum(1)

    total = share * loss(y) + (1 - share) * loss(other)
    wanted = total.sum() / (share * weights[y] + (1 - share) * weights[other]).sum()
    soft = torch.from_numpy(share[:, None] * np.eye(3)[y] + (1 - share)[:, None] * np.eye(3)[other])
    found = weighted_cross_entropy(
        torch.from_numpy(z),
        torch.from_numpy(y),
        torch.from_numpy(weights),
        smoothing=smoothing,
        soft=soft if mixed else None,
    )
    assert found.item() == pytest.approx(wanted)


@given(st.integers(0, 1000), st.integers(2, 5))
def test_a_doubtful_label_is_the_mean_over_what_it_may_be(seed: int, c: int) -> None:
    rng = np.random.default_rng(seed)
    z, y, sure = torch.from_numpy(logits(seed, 6, c)), rng.integers(-1, c, 6), rng.uniform(0, 1, 6)
    y[0], ones = 0, torch.ones(c, dtype=torch.float64)
    known = [row for row in range(6) if y[row] >= 0]

    def if_it_were(row: int, label: int) -> float:
        return weighted_cross_entropy(z[[row]], torch.tensor([label]), ones).item()

    wanted = [
        sum((sure[row] if k == y[row] else (1 - sure[row]) / (c - 1)) * if_it_were(row, k) for k in range(c))
        for row in known
    ]
    labels, confidence = torch.from_numpy(y), torch.from_numpy(sure)
    found = weighted_cross_entropy(z, labels, ones, soft=soften(labels, confidence, c))
    assert found.item() == pytest.approx(np.mean(wanted))
    certain = soften(labels, torch.ones(6, dtype=torch.float64), c)
    hard = weighted_cross_entropy(z, labels, ones, smoothing=0.1)
    assert weighted_cross_entropy(z, labels, ones, smoothing=0.1, soft=certain).item() == pytest.approx(
        hard.item()
    )


def test_unlabelled_rows_do_not_count() -> None:
    z = torch.from_numpy(logits(0, 4, 3))
    y = torch.tensor([0, -1, 2, -1])
    ones = torch.ones(3, dtype=torch.float64)
    assert weighted_cross_entropy(z, y, ones) == weighted_cross_entropy(z[[0, 2]], y[[0, 2]], ones)
    assert weighted_cross_entropy(z, torch.full((4,), -1), ones) == 0


@given(st.integers(0, 1000), st.integers(1, 10), st.integers(1, 4))
def test_a_prototype_is_the_mean_of_its_class(seed: int, n: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, d)), rng.integers(-1, 3, n)
    means = class_means(torch.from_numpy(x), torch.from_numpy(y), 3).numpy()
    for number in range(3):
        own = x[y == number]
        assert means[number] == pytest.approx(own.mean(0) if len(own) else np.zeros(d))
    gaps = negative_distances(torch.from_numpy(x), torch.from_numpy(means)).numpy()
    assert gaps == pytest.approx(-np.array([[np.sum((a - b) ** 2) for b in means] for a in x]))


def test_the_inner_loop_follows_the_gradient_that_autograd_finds() -> None:
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(12, 5, generator=rng), torch.arange(12) % 3
    weight, bias = torch.randn(3, 5, generator=rng), torch.randn(3, generator=rng)
    w, b = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    for _ in range(7):
        loss = torch.nn.functional.cross_entropy(x @ w.T + b, y)
        steps = torch.autograd.grad(loss, (w, b))
        w, b = (w - 0.1 * steps[0]).detach().requires_grad_(), (b - 0.1 * steps[1]).detach().requires_grad_()
    found = fit_linear(x, y, weight, bias, steps=7, lr=0.1)
    assert torch.allclose(found[0], w, atol=1e-5)
    assert torch.allclose(found[1], b, atol=1e-5)


@pytest.mark.parametrize("gap", [5.0, 14.5, 40.0])
def test_the_pull_back_from_a_collapse_does_not_vanish_with_the_class(gap: float) -> None:
    logits = torch.tensor([[gap, 0.0]] * 3, requires_grad=True)
    loss = share_divergence(logits, torch.tensor([0.5, 0.5]))
    loss.backward()
    assert loss.item() == pytest.approx(0.5 * (gap + 2 * np.log1p(np.exp(-gap))) - np.log(2), rel=1e-4)
    assert logits.grad.abs().sum().item() == pytest.approx(1.0, rel=0.02)
