"""A running average of the weights: steadier than the last step, at no cost in passes.

Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging"; Tarvainen and Valpola
2017, "Mean teachers are better role models". What is validated, chosen and kept is the average.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from transfer_core.models.model import Classifier


class WeightAverage:
    """The exponential moving average of what trains from a cut on, batch-norm statistics included.

    The decay is warmed up, min(decay, (1 + step) / (10 + step)), so that the first steps are forgotten.
    """

    def __init__(self, model: Classifier, cut: int, decay: float) -> None:
        self._decay = decay
        self.steps = 0
        kept = model.trained_state(cut)
        self._live = {
            name: value
            for name, value in model.state_dict().items()
            if name in kept and value.is_floating_point()
        }
        self._mean = {name: value.detach().clone() for name, value in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        decay = min(self._decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(list(self._mean.values()), list(self._live.values()), 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average into the model for a while."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, live in self._live.items():
            held = live.clone()
            live.copy_(self._mean[name])
            self._mean[name].copy_(held)

    def state(self) -> dict[str, Tensor]:
        """Return the average on the CPU, for a checkpoint."""
        steps = {"steps": torch.tensor(self.steps)}
        return {name: value.detach().cpu().clone() for name, value in self._mean.items()} | steps

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` returned."""
        self.steps = int(state["steps"])
        for name, value in self._mean.items():
            value.copy_(state[name])
