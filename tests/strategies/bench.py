"""A strategy's first phase with its first batch, held still: what each term of its loss is, and where it pulls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tests.support import Lab
from transfer_core.strategies import Batch, Phase
from transfer_core.strategies.base import Loss
from transfer_core.training.feed import Feed
from transfer_core.training.setup import Setup

CUT = 2


@dataclass
class Bench:
    """A phase's model and its first batch; nothing is random and no statistics move."""

    setup: Setup
    phase: Phase
    batch: Batch

    def term(self, loss: Loss, name: str) -> Tensor:
        """A term of a loss, near the end of training, where reversed gradients have their full strength."""
        return loss(self.setup.model, self.batch, 1.0).terms[name]

    def stepped(self, loss: Loss, name: str, parts: Iterable[str]) -> None:
        """Move some parts a little down a term's gradient."""
        parameters = [each for part in parts for each in self.setup.model.part(part).parameters()]
        gradients = torch.autograd.grad(self.term(loss, name), parameters, allow_unused=True)
        with torch.no_grad():
            for each, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    each -= 1e-3 * gradient / gradient.norm().clamp_min(1e-9)

    @property
    def stages(self) -> list[str]:
        return [name for name in self.phase.modules if name.startswith("stages")]


def bench(lab: Lab, strategy: str, **knobs: Any) -> Bench:
    setup = lab.setup(lab.spec(strategy, cut=CUT, augment="flips", knobs=knobs))
    phase = setup.strategy.phases(setup.task)[0]
    with setup.activations(CUT) as activations:
        activations.fill(setup.images("train") + setup.images("unlabelled"), setup.spec.views)
        batch = next(iter(Feed(setup).batches(phase, 1, activations)))
    setup.model.train_only(phase.modules, CUT)
    setup.model.eval()
    return Bench(setup, phase, batch)
