"""DANN: features from which a discriminator cannot tell the two domains apart.

Ganin et al. 2016, "Domain-Adversarial Training of Neural Networks". The discriminator's gradient is
reversed on its way into the features, by a strength that grows with the run's progress. It has dropout
and no batch-norm: steadier than the usual design, if weaker.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from transfer_core.knobs import knob
from transfer_core.strategies.adversary import Adversarial
from transfer_core.strategies.base import Batch, Phase, StepLoss, Task

if TYPE_CHECKING:
    from transfer_core.models.model import Classifier


@dataclass(frozen=True)
class DANN(Adversarial):
    """Domain-adversarial training."""

    name: ClassVar[str] = "dann"
    title: ClassVar[str] = "Domain-adversarial (DANN)"
    about: ClassVar[str] = (
        "A second network tries to tell the domains apart, and the features learn to prevent it. "
        "Strong when the domains look different but the classes look alike; it can swing, so watch its health."
    )

    strength: float = knob(
        1.0, "Weight of the domain loss", "How much the domains are mixed.", low=0, high=100
    )

    def phases(self, task: Task) -> list[Phase]:
        """Return the one phase."""
        return [self.phase(task, "adversarial training", partial(self.loss, task=task), target="plain")]

    def loss(self, model: Classifier, batch: Batch, progress: float, *, task: Task) -> StepLoss:
        """Return cross-entropy on the source and the domain loss behind reversed gradients."""
        from transfer_core.losses.adversarial import adversarial_loss

        source, target = self.features(model, batch, task)
        logits = model.heads["main"](source)
        domain, facts = adversarial_loss(model.extras["discriminator"], source, target, progress)
        terms = {
            "cross-entropy": self.cross_entropy(logits, batch, task),
            "domain": self.strength * domain,
        }
        terms |= self.shares(target, model, task)
        return StepLoss(terms, logits, facts)
