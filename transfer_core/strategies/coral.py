"""Deep CORAL: the covariances of the two domains' features are made equal.

Sun and Saenko 2016, "Deep CORAL: Correlation Alignment for Deep Domain Adaptation". The paper's
1 / (4 d^2) makes the term tiny where features are many, so the weight is multiplied by d.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from transfer_core.knobs import knob
from transfer_core.strategies.adaptation import Adaptation
from transfer_core.strategies.base import Batch, Phase, StepLoss, Task

if TYPE_CHECKING:
    from transfer_core.models.model import Classifier


@dataclass(frozen=True)
class CORAL(Adaptation):
    """Correlation alignment."""

    name: ClassVar[str] = "coral"
    title: ClassVar[str] = "Covariance matching (CORAL)"
    about: ClassVar[str] = (
        "Makes the features of both domains vary together in the same way. "
        "The gentlest method of its kind; for domains that differ mildly."
    )

    strength: float = knob(
        1.0, "Weight of the distance", "How much the domains are mixed; times the number of features.", low=0, high=1e4
    )  # fmt: skip

    def phases(self, task: Task) -> list[Phase]:
        """Return the one phase."""
        return [self.phase(task, "matching the domains", partial(self.loss, task=task), target="plain")]

    def loss(self, model: Classifier, batch: Batch, _progress: float, *, task: Task) -> StepLoss:
        """Return cross-entropy on the source and the distance of the features' covariances."""
        from transfer_core.losses.alignment import coral

        source, target = self.features(model, batch, task)
        logits = model.heads["main"](source)
        terms = {
            "cross-entropy": self.cross_entropy(logits, batch, task),
            "distance": self.strength * task.feature_dim * coral(source, target),
        }
        terms |= self.shares(target, model, task)
        return StepLoss(terms, logits)
