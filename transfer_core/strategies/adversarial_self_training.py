"""Adversarial self-training: the domains are mixed while sure predictions on the target become labels.

Ganin et al. 2016, "Domain-Adversarial Training of Neural Networks", beside Sohn et al. 2020, "FixMatch", with
distribution alignment (Berthelot et al. 2020, "ReMixMatch"). Mixing alone says nothing of where on the target the
border between the classes runs, and pseudo-labels alone repeat what the source's features got wrong: each mends
what the other leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from transfer_core.knobs import knob
from transfer_core.strategies.adversary import Adversarial
from transfer_core.strategies.base import TARGET
from transfer_core.strategies.self_training import SelfTraining

if TYPE_CHECKING:
    from torch import Tensor

    from transfer_core.models.model import Classifier


@dataclass(frozen=True)
class AdversarialSelfTraining(SelfTraining, Adversarial):
    """DANN and FixMatch together."""

    name: ClassVar[str] = "adversarial_self_training"
    title: ClassVar[str] = "Adversarial self-training"
    about: ClassVar[str] = (
        "Mixes the two domains and learns from its own sure predictions on the new one. "
        "The first to try where another site's images have no labels; it can also harm, so read the verdict."
    )
    needs: ClassVar[tuple[str, ...]] = (TARGET,)

    domain_strength: float = knob(
        1.0, "Weight of the domain loss", "How much the domains are mixed.", low=0, high=100
    )

    def beside(
        self, model: Classifier, source: Tensor, target: Tensor, progress: float
    ) -> tuple[dict[str, Tensor], dict[str, Tensor | float]]:
        """Return the domain loss."""
        from transfer_core.losses.adversarial import adversarial_loss

        domain, facts = adversarial_loss(model.extras["discriminator"], source, target, progress)
        return {"domain": self.domain_strength * domain}, facts
