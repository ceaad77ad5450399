"""Self-training: sure predictions on unlabelled images become their labels.

Sohn et al. 2020, "FixMatch" (the prediction for a plain view teaches another, stronger one); Lee 2013,
"Pseudo-Label". Distribution alignment (Berthelot et al. 2020, "ReMixMatch") keeps one class from
swallowing all images. The predictions are those of the averaged weights (Tarvainen and Valpola 2017, "Mean
teachers"; across domains French et al. 2018, "Self-ensembling"): a model that believes itself at every step
confirms its own mistakes.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from transfer_core.knobs import knob
from transfer_core.strategies.adaptation import Adaptation
from transfer_core.strategies.base import UNLABELLED, Batch, Phase, StepLoss, Task

if TYPE_CHECKING:
    from torch import Tensor

    from transfer_core.models.model import Classifier


@dataclass(frozen=True)
class SelfTraining(Adaptation):
    """FixMatch on unlabelled images."""

    name: ClassVar[str] = "self_training"
    title: ClassVar[str] = "Self-training (FixMatch)"
    about: ClassVar[str] = (
        "Learns from its own sure predictions on images without a label. "
        "For few labels and many unlabelled images, of the same or of another domain."
    )
    cost: ClassVar[str] = "about three times fine-tuning"
    needs: ClassVar[tuple[str, ...]] = (UNLABELLED,)
    mixes: ClassVar[bool] = False  # target images are not mixed, so their views would all be one
    least_views: ClassVar[int] = 2

    strength: float = knob(1.0, "Weight of the pseudo-labels", "How much they count.", low=0, high=100)
    threshold: float = knob(
        0.9, "Threshold", "How sure a prediction must be to be learnt from.", low=0, high=1
    )
    teacher: str = knob(
        "average", "Whose predictions", "average: those of the averaged weights, steadier. model: those of the model as it stands.",
        choices=("average", "model"),
    )  # fmt: skip
    align: bool = knob(
        True, "Keep class shares", "Predictions are rescaled towards the training images' class shares."
    )
    delay: float = knob(0.2, "Delay", "Part of the run before pseudo-labels count.", low=0, high=0.9)

    def prepare(self, model: Classifier, task: Task) -> None:
        """Add the running shares of the classes said on unlabelled images."""
        from transfer_core.models.heads import RunningShares

        super().prepare(model, task)
        model.extras["said"] = RunningShares(len(task.classes))

    def phases(self, task: Task) -> list[Phase]:
        """Return the one phase."""
        return [self.phase(task, "self-training", partial(self.loss, task=task), target="pair")]

    def loss(self, model: Classifier, batch: Batch, progress: float, *, task: Task) -> StepLoss:
        """Return cross-entropy on labelled images and the pseudo-label loss on the others."""
        from transfer_core.losses.pseudo import pseudo_label_loss

        taught = self.teach(
            model, batch, task
        )  # before the model's own pass, which the swap of weights would spoil
        source, target = self.features(model, replace(batch, x_target=batch.x_strong), task)
        logits = model.heads["main"](source)
        loss, used = pseudo_label_loss(taught, model.heads["main"](target), self.threshold)
        weight = self.strength if progress >= self.delay else 0.0
        terms = {"cross-entropy": self.cross_entropy(logits, batch, task), "pseudo-labels": weight * loss}
        terms |= self.shares(target, model, task)
        more, facts = self.beside(model, source, target, progress)
        return StepLoss(terms | more, logits, {"images learnt from": used, **facts})

    def teach(self, model: Classifier, batch: Batch, task: Task) -> Tensor:
        """Return what is believed of the batch's unlabelled images, as logarithms of probabilities [m, classes]."""
        import torch

        from transfer_core.losses.pseudo import aligned
        from transfer_core.models.statistics import statistics_kept

        assert batch.x_target is not None
        teacher = model.averaged() if self.teacher == "average" else nullcontext()
        with torch.no_grad(), teacher, statistics_kept(model.stages[task.cut :]):
            together = self.in_one_batch(task)  # as in the pass that learns
            x = torch.cat([batch.x, batch.x_target]) if together else batch.x_target
            said = model(x, task.cut)[-len(batch.x_target) :].softmax(1)
        if self.align:
            shares = model.extras["said"].take(said)  # type: ignore[operator]
            said = aligned(said, said.new_tensor(task.class_shares), shares)
        logarithms: Tensor = said.clamp_min(1e-12).log()
        return logarithms

    def beside(
        self, model: Classifier, source: Tensor, target: Tensor, progress: float
    ) -> tuple[dict[str, Tensor], dict[str, Tensor | float]]:
        """Return further terms and facts for features [n, d] of the source and [m, d] of the target; here none."""
        return {}, {}
