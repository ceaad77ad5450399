"""Losses on the predictions for unlabelled images: class confusion and classifier discrepancy.

Jin et al. 2020, "Minimum Class Confusion for Versatile Domain Adaptation"; Saito et al. 2018, "Maximum
Classifier Discrepancy for Unsupervised Domain Adaptation".
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from transfer_core.losses.adversarial import entropy


def class_confusion(logits: Tensor, temperature: float = 2.5) -> Tensor:
    """Return the minimum-class-confusion loss of logits [n, c].

    Softened predictions p, weighted by w = 1 + exp(-entropy) scaled to mean 1 (without gradient);
    C = (w p)' p, its rows normalised to sum 1; the mean over the classes of what lies off the diagonal.
    """
    p = (logits / temperature).softmax(1)
    weights = 1 + (-entropy(p.detach())).exp()
    weights = weights / weights.mean()
    confusion = (p * weights[:, None]).T @ p
    confusion = confusion / confusion.sum(1, keepdim=True)
    return (confusion.sum() - confusion.diagonal().sum()) / logits.shape[1]


def share_divergence(logits: Tensor, shares: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of the mean prediction of logits [n, c] from expected shares [c].

    KL(shares || mean): large where a class that should be there is hardly said any more.
    """
    mean = logits.softmax(1).mean(0)
    # A share too small for softmax still has a logarithm, and a gradient: a full collapse is where the pull is needed.
    exact = logits.log_softmax(1).logsumexp(0) - math.log(len(logits))
    said = torch.where(mean > 1e-6, mean.clamp_min(1e-6).log(), exact)
    return (shares * (shares.clamp_min(1e-6).log() - said)).sum()


def discrepancy(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean absolute difference of the probabilities of two classifiers' logits [n, c]."""
    return (first.softmax(1) - second.softmax(1)).abs().mean()
