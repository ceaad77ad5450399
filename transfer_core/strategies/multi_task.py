"""Multi-task learning: one trunk, a head for each of two questions, trained together.

Caruana 1997, "Multitask Learning". The second question is a further label of the same images, or, where
source and target have different classes, what the source's images are; the target's are then learnt from the labels
that `target_labels` allows, a quarter of which choose the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from transfer_core.knobs import knob
from transfer_core.strategies.base import FURTHER_LABEL, Batch, Group, Phase, StepLoss, Task
from transfer_core.strategies.tuning import Tuning

if TYPE_CHECKING:
    from torch import Tensor

    from transfer_core.models.model import Classifier


@dataclass(frozen=True)
class MultiTask(Tuning):
    """Joint training with an auxiliary head."""

    name: ClassVar[str] = "multi_task"
    title: ClassVar[str] = "Two questions (multi-task)"
    group: ClassVar[Group] = "few labels"
    about: ClassVar[str] = (
        "Learns a second question beside the one you want: a further label of the same images, or the other classes of "
        "another domain. Helps where both need the same features and labels are few."
    )
    mixes: ClassVar[bool] = False
    mixes_at_cut: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = (FURTHER_LABEL,)
    takes_other_classes: ClassVar[bool] = True

    auxiliary: str = knob(
        "", "Second question",
        "The name of a further label column. Empty: the only one there is.",
    )  # fmt: skip
    weight: float = knob(0.5, "Weight of the second question", "How much it counts.", low=0, high=100)
    target_labels: int = knob(
        0, "Labelled target images", "How many may be used where there is a target domain; 0: none.",
        unit="per class", low=0, high=10_000,
    )  # fmt: skip

    def prepare(self, model: Classifier, task: Task) -> None:
        """Add a linear head per further question."""
        from torch import nn

        from transfer_core.models.heads import SomeClasses

        if task.asked:
            model.heads["main"] = SomeClasses(task.feature_dim, len(task.classes), task.asked)
        for name, classes in task.tasks.items():
            model.heads[head_name(name)] = nn.Linear(task.feature_dim, classes)

    def phases(self, task: Task) -> list[Phase]:
        """Return the one phase."""
        return [self.phase(task, "joint training", partial(self.loss, task=task))]

    def loss(self, model: Classifier, batch: Batch, _progress: float, *, task: Task) -> StepLoss:
        """Return the cross-entropy of both heads; an image without one of the labels counts for the other."""
        from torch.nn.functional import cross_entropy

        features = model.features(batch.x, task.cut)
        logits = model.heads["main"](features)
        terms = {"cross-entropy": self._answer(logits, batch, task)}
        for name, labels in batch.tasks.items():
            answers = model.heads[head_name(name)](features)
            known = (labels >= 0).sum().clamp_min(1)
            summed = cross_entropy(answers, labels, ignore_index=-1, reduction="sum")
            terms["second question"] = self.weight * summed / known
        return StepLoss(terms, logits)

    def _answer(self, logits: Tensor, batch: Batch, task: Task) -> Tensor:
        """Return the cross-entropy of the main question, over the classes that it has."""
        import torch

        if not task.asked:
            return self.cross_entropy(logits, batch, task)
        place = torch.full((len(task.classes) + 1,), -1, device=batch.y.device)  # the last is for label -1
        place[list(task.asked)] = torch.arange(len(task.asked), device=batch.y.device)
        weights = tuple(task.class_weights[number] for number in task.asked)
        own = replace(batch, y=place[batch.y])
        return self.cross_entropy(logits[:, list(task.asked)], own, replace(task, class_weights=weights))


def head_name(label: str) -> str:
    """Return a module's name for a label of any name: no dots, and never that of the main head."""
    return f"further-{label.encode().hex()}"
