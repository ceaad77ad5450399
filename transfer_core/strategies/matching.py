"""What the methods share that make a distance between the domains' features small."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from transfer_core.knobs import knob
from transfer_core.strategies.adaptation import Adaptation
from transfer_core.strategies.base import Batch, Phase, StepLoss, Task

if TYPE_CHECKING:
    from torch import Tensor

    from transfer_core.models.model import Classifier


@dataclass(frozen=True)
class Matching(Adaptation):
    """Adaptation by a distance, without a second network."""

    strength: float = knob(1.0, "Weight of the distance", "How much the domains are mixed.", low=0, high=1e4)

    def distance(self, source: Tensor, target: Tensor) -> Tensor:
        """Return the distance [] of features [n, d] and [m, d]."""
        raise NotImplementedError

    def phases(self, task: Task) -> list[Phase]:
        """Return the one phase."""
        return [self.phase(task, "matching the domains", partial(self.loss, task=task), target="plain")]

    def loss(self, model: Classifier, batch: Batch, _progress: float, *, task: Task) -> StepLoss:
        """Return cross-entropy on the source and the distance of the features."""
        source, target = self.features(model, batch, task)
        logits = model.heads["main"](source)
        terms = {
            "cross-entropy": self.cross_entropy(logits, batch, task),
            "distance": self.strength * self.distance(source, target),
        }
        return StepLoss(terms | self.shares(target, model, task), logits)
