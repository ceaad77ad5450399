"""MCD: two classifiers disagree on the target as much as they can, and the features learn to prevent it.

Saito et al. 2018, "Maximum Classifier Discrepancy for Unsupervised Domain Adaptation". Three updates a
batch: everything on the source; the two heads apart on the target; the features together again, several
times. Their mean predicts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from transfer_core.knobs import knob
from transfer_core.strategies.adaptation import Adaptation
from transfer_core.strategies.base import Batch, Phase, StepLoss, Task, Turn

if TYPE_CHECKING:
    from torch import Tensor

    from transfer_core.models.heads import TwoHeads
    from transfer_core.models.model import Classifier


@dataclass(frozen=True)
class MCD(Adaptation):
    """Maximum classifier discrepancy."""

    name: ClassVar[str] = "mcd"
    title: ClassVar[str] = "Two judges (MCD)"
    about: ClassVar[str] = (
        "Two classifiers look for images on which they can disagree; the features learn to leave none. "
        "Respects the border between classes, at the price of time."
    )
    cost: ClassVar[str] = "about four times fine-tuning"

    strength: float = knob(1.0, "Weight of the disagreement", "How much it counts.", low=0, high=100)
    times: int = knob(
        4, "Feature updates a batch", "More bring the two closer, and take longer.", low=1, high=10
    )

    @classmethod
    def head_parameters(cls, features: int, classes: int) -> int:
        """Return those of both heads."""
        return 2 * (features + 1) * classes

    def prepare(self, model: Classifier, task: Task) -> None:
        """Put two heads, started differently, in the place of one."""
        from transfer_core.models.heads import TwoHeads

        super().prepare(model, task)
        model.heads["main"] = TwoHeads(task.feature_dim, len(task.classes))

    def phases(self, task: Task) -> list[Phase]:
        """Return the one phase, of three updates a batch."""
        stages = tuple(name for name in self.factors(task) if name.startswith("stages"))
        turns = [Turn(partial(self.apart, task=task), ("heads",))]
        turns += [Turn(partial(self.together, task=task), stages, self.times)] if stages else []
        loss = partial(self.on_source, task=task)
        return [self.phase(task, "two judges", loss, target="plain", turns=tuple(turns))]

    def on_source(self, model: Classifier, batch: Batch, _progress: float, *, task: Task) -> StepLoss:
        """Return the summed cross-entropy of both heads on the source."""
        if self.in_one_batch(task):
            features, _ = self.features(model, batch, task)
        else:
            with self.looking_at_source(model, task):
                features = model.features(batch.x, task.cut)
        return StepLoss({"cross-entropy": self._source_loss(model, batch, features, task)},
                        model.heads["main"](features))  # fmt: skip

    def apart(self, model: Classifier, batch: Batch, _progress: float, *, task: Task) -> StepLoss:
        """Return cross-entropy on the source minus the heads' discrepancy on the target."""
        import torch

        with torch.no_grad():  # the stages stay as they are
            source, target = self.features(model, batch, task)
        terms = {
            "cross-entropy again": self._source_loss(model, batch, source, task),
            "disagreement": -self.strength * self._discrepancy(model, target),
        }
        terms |= self.shares(target, model, task)
        return StepLoss(terms, model.heads["main"](source))

    def together(self, model: Classifier, batch: Batch, _progress: float, *, task: Task) -> StepLoss:
        """Return the heads' discrepancy on the target."""
        assert batch.x_target is not None
        together = self.in_one_batch(task)
        target = (
            self.features(model, batch, task)[1] if together else model.features(batch.x_target, task.cut)
        )
        gap = self.strength * self._discrepancy(model, target)
        return StepLoss({"agreement": gap}, model.heads["main"](target))

    def _source_loss(self, model: Classifier, batch: Batch, features: Tensor, task: Task) -> Tensor:
        heads: TwoHeads = model.heads["main"]  # type: ignore[assignment]
        first, second = (self.cross_entropy(head(features), batch, task) for head in heads.both)
        return first + second

    def _discrepancy(self, model: Classifier, features: Tensor) -> Tensor:
        from transfer_core.losses.confusion import discrepancy

        heads: TwoHeads = model.heads["main"]  # type: ignore[assignment]
        first, second = heads.both
        return discrepancy(first(features), second(features))
