"""Prototypes: a class is the mean of its examples' features.

Snell et al. 2017, "Prototypical Networks for Few-shot Learning"; Wang et al. 2019, "SimpleShot" (features
centred and scaled to length 1).
"""

from __future__ import annotations

import torch
from torch import Tensor


def number_slots(y: Tensor) -> tuple[Tensor, Tensor]:
    """Return an episode's classes [c] as they first come in labels y [n], and each row's place among them [n].

    A slot must mean another class in each episode (Sun et al. 2019), else what starts a slot learns the class.
    """
    present, rows = torch.unique(y, return_inverse=True)
    first = torch.full_like(present, len(y)).scatter_reduce(
        0, rows, torch.arange(len(y), device=y.device), "amin"
    )
    order = first.argsort()
    return present[order], order.argsort()[rows]


def class_means(features: Tensor, y: Tensor, classes: int) -> Tensor:
    """Return the mean feature of each class [classes, d] of features [n, d] with labels y [n] in 0..classes-1.

    Rows with label -1 do not count; a class without a row has the mean 0.
    """
    known = y >= 0
    member = torch.nn.functional.one_hot(y[known], classes).to(features.dtype)
    return member.T @ features[known] / member.sum(0).clamp_min(1).unsqueeze(1)


def negative_distances(features: Tensor, prototypes: Tensor) -> Tensor:
    """Return minus the squared Euclidean distance [n, c] of features [n, d] to prototypes [c, d]."""
    return -(features.unsqueeze(1) - prototypes.unsqueeze(0)).square().sum(2)


@torch.no_grad()
def fit_linear(
    features: Tensor, y: Tensor, weight: Tensor, bias: Tensor, *, steps: int, lr: float
) -> tuple[Tensor, Tensor]:
    """Return weight [c, d] and bias [c] after gradient steps on the cross-entropy of features [n, d], labels y [n].

    The inner loop of Sun et al. 2019; the gradient of softmax cross-entropy is written out.
    """
    wanted = torch.nn.functional.one_hot(y, len(bias)).to(features.dtype)
    for _ in range(steps):
        gap = ((features @ weight.T + bias).softmax(1) - wanted) / len(y)
        weight, bias = weight - lr * gap.T @ features, bias - lr * gap.sum(0)
    return weight, bias
