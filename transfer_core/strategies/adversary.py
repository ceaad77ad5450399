"""What the adversarial methods share: a discriminator beside the classifier, and its knobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from transfer_core.knobs import knob
from transfer_core.strategies.adaptation import Adaptation
from transfer_core.strategies.base import Task

if TYPE_CHECKING:
    from transfer_core.models.model import Classifier


@dataclass(frozen=True)
class Adversarial(Adaptation):
    """Adaptation against a domain discriminator, which learns as fast as the head."""

    width: int = knob(
        256, "Discriminator width", "Neurons in each of its two hidden layers.", low=4, high=4096
    )
    dropout: float = knob(0.5, "Discriminator dropout", "Keeps it from winning too early.", low=0, high=0.9)

    def judged_features(self, task: Task) -> int:
        """Return how many numbers of an image the discriminator sees."""
        return task.feature_dim

    def prepare(self, model: Classifier, task: Task) -> None:
        """Add the discriminator."""
        from transfer_core.models.heads import make_discriminator

        super().prepare(model, task)
        seen = self.judged_features(task)
        model.extras["discriminator"] = make_discriminator(seen, self.width, self.dropout)

    def factors(self, task: Task) -> dict[str, float]:
        """Return the learning-rate factors, the discriminator's too."""
        return super().factors(task) | {"extras.discriminator": self.head_factor}
