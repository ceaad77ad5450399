"""Distances between the feature distributions of two domains.

Long et al. 2015, "Learning Transferable Features with Deep Adaptation Networks" (multi-kernel MMD);
Sun and Saenko 2016, "Deep CORAL".
"""

from __future__ import annotations

import torch
from torch import Tensor

BANDWIDTHS = (0.125, 0.25, 0.5, 1.0, 2.0)  # times the mean squared distance: 2^-3 .. 2^1


def mk_mmd(a: Tensor, b: Tensor, bandwidths: tuple[float, ...] = BANDWIDTHS) -> Tensor:
    """Return the squared maximum mean discrepancy of a [n, d] and b [m, d], over a sum of Gaussian kernels.

    k(x, y) = sum over q of exp(-|x - y|^2 / (2 q s)), s the mean squared distance of all pairs,
    without gradient. The biased (V-statistic) estimate: never negative, and 0 for a == b.
    """
    both = torch.cat([a, b])
    square = both.square().sum(1)
    distance = (square[:, None] + square[None, :] - 2 * both @ both.T).clamp_min(0)
    n = len(both)
    scale = (distance.detach().sum() / (n * n - n)).clamp_min(1e-12)
    kernel = torch.stack([torch.exp(-distance / (2 * q * scale)) for q in bandwidths]).sum(0)
    size = len(a)
    return kernel[:size, :size].mean() + kernel[size:, size:].mean() - 2 * kernel[:size, size:].mean()


def coral(a: Tensor, b: Tensor) -> Tensor:
    """Return |C_a - C_b|^2 / (4 d^2) for the covariance matrices of a [n, d] and b [m, d] (Frobenius)."""
    return (covariance(a) - covariance(b)).square().sum() / (4 * a.shape[1] ** 2)


def covariance(x: Tensor) -> Tensor:
    """Return the unbiased covariance [d, d] of x [n, d]."""
    centred = x - x.mean(0)
    return centred.T @ centred / (len(x) - 1)
