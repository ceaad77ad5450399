"""Optimisers and learning-rate schedule of a phase."""

from __future__ import annotations

import math

import torch
from torch import nn

from transfer_core.models.model import Classifier
from transfer_core.strategies import Phase

WARM_UP = 0.1  # of the search, and of each phase: AdamW's second moments are unreliable in the first steps


def learning_rate(phase: Phase, progress: float, within: float) -> float:
    """Return the rate at a progress in 0..1: linear warm-up, then half a cosine to zero.

    `within`: the progress in 0..1 of this phase alone. One that carries a search on starts with a new optimiser, which is
    warmed up too. L-BFGS chooses its own step length by line search and keeps the phase's rate.
    """
    if phase.optimiser == "lbfgs":
        return phase.lr
    rate, warmed = phase.lr, min(progress, within)
    if progress > WARM_UP:
        rate *= 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))
    return rate * (warmed + 0.01) / (WARM_UP + 0.01) if warmed < WARM_UP else rate


def make_optimiser(phase: Phase, model: Classifier) -> tuple[torch.optim.Optimizer, list[nn.Parameter]]:
    """Return the optimiser over what the phase trains, and those parameters.

    Each group carries the factor by which the scheduled rate is multiplied. Biases and norm weights
    are not decayed: pulling them to zero changes a layer's scale rather than its complexity.
    """
    parts = [(name, model.part(name), factor) for name, factor in phase.modules.items()]
    parameters = [each for _, part, _ in parts for each in part.parameters()]
    if phase.optimiser == "none" or not parameters:
        return torch.optim.SGD([torch.zeros(())], lr=0.0), parameters  # it moves nothing
    if phase.optimiser == "lbfgs":
        lbfgs = torch.optim.LBFGS(
            parameters, lr=phase.lr, max_iter=25, history_size=20, line_search_fn="strong_wolfe"
        )
        lbfgs.param_groups[0]["factor"] = 1.0
        return lbfgs, parameters
    groups = []
    for name, part, factor in parts:
        for decayed in (True, False):
            own = [each for each in part.parameters() if (each.ndim > 1) is decayed]
            anchored = phase.anchor and name.startswith("stages")  # L2-SP takes the place of decay
            decay = phase.weight_decay if decayed and not anchored else 0.0
            groups.append({"params": own, "factor": factor, "weight_decay": decay})
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=phase.lr), parameters
