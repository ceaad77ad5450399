"""DAN: the maximum mean discrepancy between the domains' features is made small.

Long et al. 2015, "Learning Transferable Features with Deep Adaptation Networks": a sum of Gaussian
kernels of several widths; here the quadratic estimate, on the features under the head.
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
class MMD(Adaptation):
    """Multi-kernel maximum mean discrepancy."""

    name: ClassVar[str] = "mmd"
    title: ClassVar[str] = "Mean matching (DAN, MK-MMD)"
    about: ClassVar[str] = (
        "Pulls the two clouds of features onto each other, without a second network. "
        "Steadier than the adversarial methods, and usually a little weaker."
    )

    strength: float = knob(1.0, "Weight of the distance", "How much the domains are mixed.", low=0, high=1000)

    def phases(self, task: Task) -> list[Phase]:
        """Return the one phase."""
        return [self.phase(task, "matching the domains", partial(self.loss, task=task), target="plain")]

    def loss(self, model: Classifier, batch: Batch, _progress: float, *, task: Task) -> StepLoss:
        """Return cross-entropy on the source and the squared MMD of the features."""
        from transfer_core.losses.alignment import mk_mmd

        source, target = self.features(model, batch, task)
        logits = model.heads["main"](source)
        terms = {
            "cross-entropy": self.cross_entropy(logits, batch, task),
            "distance": self.strength * mk_mmd(source, target),
        }
        terms |= self.shares(target, model, task)
        return StepLoss(terms, logits)
