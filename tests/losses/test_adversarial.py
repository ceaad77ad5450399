"""Gradient reversal, the discriminator's loss and CDAN's map, against values by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from transfer_core.losses.adversarial import (
    conditional_map,
    domain_accuracy,
    domain_loss,
    entropy,
    entropy_weights,
    random_map,
    reversal_strength,
    reverse_gradient,
)


@given(st.floats(0, 10), st.integers(0, 100))
def test_reversal_changes_nothing_forward_and_the_sign_backward(strength: float, seed: int) -> None:
    x = torch.from_numpy(np.random.default_rng(seed).normal(size=(3, 4))).requires_grad_()
    assert torch.equal(reverse_gradient(x, strength), x)
    (plain,) = torch.autograd.grad((x**2).sum(), x)
    (turned,) = torch.autograd.grad((reverse_gradient(x, strength) ** 2).sum(), x)
    assert torch.allclose(turned, -strength * plain)


def test_the_strength_grows_from_0_to_1() -> None:
    values = [reversal_strength(each) for each in (0.0, 0.1, 0.5, 1.0)]
    assert values == pytest.approx([0.0, 2 / (1 + math.exp(-1)) - 1, 2 / (1 + math.exp(-5)) - 1, 0.99990920])


@pytest.mark.parametrize("weighted", [False, True])
def test_the_discriminators_loss_is_the_mean_of_both_domains(weighted: bool) -> None:
    source, target = np.array([2.0, -1.0]), np.array([0.5, -3.0, 1.0])
    weights = (np.array([0.5, 1.5]), np.array([0.6, 1.2, 1.2])) if weighted else (np.ones(2), np.ones(3))

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    wanted = np.mean(weights[0] * -np.log(sigmoid(source))) + np.mean(
        weights[1] * -np.log(1 - sigmoid(target))
    )
    given_weights = (torch.from_numpy(weights[0]), torch.from_numpy(weights[1])) if weighted else None
    found = domain_loss(torch.from_numpy(source), torch.from_numpy(target), given_weights)
    assert found.item() == pytest.approx(wanted / 2)
    assert domain_accuracy(torch.from_numpy(source), torch.from_numpy(target)).item() == pytest.approx(
        (1 / 2 + 1 / 3) / 2
    )


def test_cdan_sees_features_times_classes() -> None:
    features = torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]])
    classes = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    joint = conditional_map(features, classes)
    wanted = np.stack(
        [np.outer(c, f).ravel() for f, c in zip(features.numpy(), classes.numpy(), strict=True)]
    )
    assert joint.numpy() == pytest.approx(wanted)


def test_the_random_map_keeps_inner_products_on_average() -> None:
    """As eq. 6 of the paper claims: the mean over many draws is the inner product of the outer products."""
    rng = torch.Generator().manual_seed(0)
    features, classes = torch.randn(2, 5, generator=rng), torch.randn(2, 3, generator=rng).softmax(1)
    exact = conditional_map(features, classes)
    size = 200_000
    first, second = torch.randn(5, size, generator=rng), torch.randn(3, size, generator=rng)
    mapped = random_map(features, classes, first, second)
    scale = (exact.norm(dim=1)[:, None] * exact.norm(dim=1)[None]).max()
    assert torch.allclose(mapped @ mapped.T / scale, exact @ exact.T / scale, atol=0.03)


def test_sure_images_weigh_more_and_carry_no_gradient() -> None:
    p = torch.tensor([[1.0, 0.0], [0.5, 0.5]], requires_grad=True)
    assert entropy(p).tolist() == pytest.approx([0.0, math.log(2)])
    weights = entropy_weights(p)
    raw = np.array([1 + 1.0, 1 + math.exp(-math.log(2))])
    assert weights.tolist() == pytest.approx((raw / raw.mean()).tolist())
    assert not weights.requires_grad
