"""Domain-adversarial losses: gradient reversal, the domain discriminator's loss, CDAN's conditioning.

Ganin et al. 2016, "Domain-Adversarial Training of Neural Networks"; Long et al. 2018, "Conditional
Adversarial Domain Adaptation".
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * grads[0], None


def reverse_gradient(x: Tensor, strength: float) -> Tensor:
    """Return x unchanged; going back, the gradient is multiplied by -strength."""
    return cast(Tensor, _Reversal.apply(x, strength))


def reversal_strength(progress: float, steepness: float = 10.0) -> float:
    """Return lambda at a progress in 0..1 of training: 2 / (1 + exp(-steepness * progress)) - 1."""
    return 2 / (1 + math.exp(-steepness * progress)) - 1


def domain_loss(source: Tensor, target: Tensor, weights: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Return the discriminator's loss for logits [n] of source (to be 1) and [m] of target (to be 0).

    The mean of the two domains' binary cross-entropies. `weights` ([n], [m]), of mean 1 each: how much
    each image counts.
    """
    from_source = F.binary_cross_entropy_with_logits(
        source, torch.ones_like(source), weights[0] if weights else None
    )
    from_target = F.binary_cross_entropy_with_logits(
        target, torch.zeros_like(target), weights[1] if weights else None
    )
    return (from_source + from_target) / 2


def adversarial_loss(
    discriminator: nn.Module,
    source: Tensor,
    target: Tensor,
    progress: float,
    weights: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, dict[str, Tensor | float]]:
    """Return DANN's loss for features [n, d] and [m, d] at a progress in 0..1, and what is to be watched of it.

    The discriminator, from features to a logit [n, 1], learns to tell the domains apart; what made the
    features gets its gradient reversed, by lambda. `weights` as in `domain_loss`.
    """
    reversal = reversal_strength(progress)
    from_source, from_target = (
        discriminator(reverse_gradient(each, reversal)).squeeze(1) for each in (source, target)
    )
    facts: dict[str, Tensor | float] = {
        "domain accuracy": domain_accuracy(from_source, from_target),
        "lambda": reversal,
    }
    return domain_loss(from_source, from_target, weights), facts


def domain_accuracy(source: Tensor, target: Tensor) -> Tensor:
    """Return how often logits [n] of source and [m] of target are on their side, each domain half."""
    return ((source > 0).float().mean() + (target <= 0).float().mean()) / 2


def conditional_map(features: Tensor, probabilities: Tensor) -> Tensor:
    """Return the outer product of features [n, d] and probabilities [n, c] as [n, d * c]."""
    return (probabilities.unsqueeze(2) * features.unsqueeze(1)).flatten(1)


def random_map(features: Tensor, probabilities: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return the randomised outer product [n, k]: (R1 f) * (R2 g) / sqrt(k), R1 [d, k], R2 [c, k].

    Its inner products are, in expectation, those of the full outer product (Long et al. 2018, eq. 6).
    """
    return (features @ first) * (probabilities @ second) / math.sqrt(first.shape[1])


def entropy_weights(probabilities: Tensor) -> Tensor:
    """Return 1 + exp(-entropy) of probabilities [n, c], scaled to mean 1, without gradient: sure ones count more."""
    weights = 1 + torch.exp(-entropy(probabilities.detach()))
    return weights / weights.mean()


def entropy(probabilities: Tensor) -> Tensor:
    """Return the entropy in nats [n] of probabilities [n, c]."""
    return -(probabilities * probabilities.clamp_min(1e-12).log()).sum(1)
