"""MCC: on the target's images, the classes are confused with each other as little as possible.

Jin et al. 2020, "Minimum Class Confusion for Versatile Domain Adaptation". One further term, no
further network. Left alone it drifts with the source's training to one class on the target, so class shares are
kept by default (`match_shares`; 0 is the paper's method).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from transfer_core.knobs import knob
from transfer_core.strategies.adaptation import Adaptation, match_shares_knob
from transfer_core.strategies.base import Batch, Phase, StepLoss, Task

if TYPE_CHECKING:
    from transfer_core.models.model import Classifier


@dataclass(frozen=True)
class MCC(Adaptation):
    """Minimum class confusion."""

    name: ClassVar[str] = "mcc"
    title: ClassVar[str] = "Least confusion (MCC)"
    about: ClassVar[str] = (
        "Asks for clear-cut predictions on the new domain's images, whatever the class. "
        "Does well in published comparisons; whether it helps here, the verdict says."
    )

    strength: float = knob(
        1.0, "Weight of the confusion", "How much clear-cut predictions count.", low=0, high=100
    )
    temperature: float = knob(
        2.5, "Temperature", "Softens predictions before they are compared.", low=0.1, high=100
    )

    match_shares: float = match_shares_knob(1.0)

    def phases(self, task: Task) -> list[Phase]:
        """Return the one phase."""
        return [self.phase(task, "reducing confusion", partial(self.loss, task=task), target="plain")]

    def loss(self, model: Classifier, batch: Batch, _progress: float, *, task: Task) -> StepLoss:
        """Return cross-entropy on the source and the class confusion on the target."""
        from transfer_core.losses.confusion import class_confusion

        source, target = self.features(model, batch, task)
        logits = model.heads["main"](source)
        terms = {
            "cross-entropy": self.cross_entropy(logits, batch, task),
            "confusion": self.strength * class_confusion(model.heads["main"](target), self.temperature),
        }
        terms |= self.shares(target, model, task)
        return StepLoss(terms, logits)
