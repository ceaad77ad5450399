"""CDAN+E: the discriminator sees features together with the predicted class.

Long et al. 2018, "Conditional Adversarial Domain Adaptation", with entropy conditioning: images whose
prediction is sure count more. Large outer products are replaced by the paper's random projection.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from transfer_core.knobs import knob
from transfer_core.strategies.adversary import Adversarial
from transfer_core.strategies.base import Batch, Phase, StepLoss, Task

if TYPE_CHECKING:
    from torch import Tensor

    from transfer_core.models.model import Classifier

LARGEST = 4096  # dimensions of the outer product; above, it is projected
PROJECTED = 1024


@dataclass(frozen=True)
class CDAN(Adversarial):
    """Conditional domain-adversarial training."""

    name: ClassVar[str] = "cdan"
    title: ClassVar[str] = "Conditional adversarial (CDAN)"
    about: ClassVar[str] = (
        "Like DANN, but each class is matched with its like in the other domain. "
        "For several classes that are already told apart fairly well."
    )

    strength: float = knob(
        1.0, "Weight of the domain loss", "How much the domains are mixed.", low=0, high=100
    )
    entropy: bool = knob(True, "Entropy conditioning", "Images with a sure prediction count more.")

    def judged_features(self, task: Task) -> int:
        """Return how many numbers of an image the discriminator sees: the outer product's, or the projection's."""
        size = task.feature_dim * len(task.classes)
        return size if size <= LARGEST else PROJECTED

    def prepare(self, model: Classifier, task: Task) -> None:
        """Add the discriminator and, for a large outer product, the fixed random projection."""
        from transfer_core.models.heads import RandomProjection

        super().prepare(model, task)
        if task.feature_dim * len(task.classes) > LARGEST:
            model.extras["projection"] = RandomProjection(task.feature_dim, len(task.classes), PROJECTED)

    def phases(self, task: Task) -> list[Phase]:
        """Return the one phase."""
        loss = partial(self.loss, task=task)
        return [self.phase(task, "conditional adversarial training", loss, target="plain")]

    def loss(self, model: Classifier, batch: Batch, progress: float, *, task: Task) -> StepLoss:
        """Return cross-entropy on the source and the conditional domain loss behind reversed gradients."""
        from transfer_core.losses.adversarial import (
            adversarial_loss,
            conditional_map,
            entropy_weights,
            random_map,
        )

        source, target = self.features(model, batch, task)
        logits = model.heads["main"](source)

        def joint(features: Tensor, probabilities: Tensor) -> Tensor:
            given = probabilities.detach()
            if "projection" in model.extras:
                first, second = model.extras["projection"].first, model.extras["projection"].second
                return random_map(features, given, first, second)  # type: ignore[arg-type]
            return conditional_map(features, given)

        sure = (logits.softmax(1), model.heads["main"](target).softmax(1))
        weights = (entropy_weights(sure[0]), entropy_weights(sure[1])) if self.entropy else None
        domain, facts = adversarial_loss(
            model.extras["discriminator"], joint(source, sure[0]), joint(target, sure[1]), progress, weights
        )
        terms = {
            "cross-entropy": self.cross_entropy(logits, batch, task),
            "domain": self.strength * domain,
        }
        terms |= self.shares(target, model, task)
        return StepLoss(terms, logits, facts)
