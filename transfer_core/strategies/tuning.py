"""What all strategies that train stages above the cut share: their knobs, and the phase built from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from transfer_core.knobs import knob
from transfer_core.strategies.base import Batch, Loss, Phase, StepLoss, Strategy, Task

if TYPE_CHECKING:
    from torch import Tensor

    from transfer_core.models.model import Classifier


def freeze_batch_norm_knob(default: bool) -> Any:
    """Return the knob `freeze_batch_norm`, which a method may have on by default."""
    return knob(
        default,
        "Freeze batch-norm statistics",
        "Keeps the pretrained statistics; steadier with small batches.",
    )


def head_factor_knob(default: float) -> Any:
    """Return the knob `head_factor`."""
    return knob(
        default, "Head learning rate factor", "The head learns this many times faster than the stages.",
        low=1, high=1000,
    )  # fmt: skip


def stage_decay_knob(default: float) -> Any:
    """Return the knob `stage_decay`."""
    return knob(
        default, "Learning rate decay per stage", "Each stage learns this factor slower than the one above it.",
        low=0.1, high=1,
    )  # fmt: skip


@dataclass(frozen=True)
class Tuning(Strategy):
    """Stages from the cut on and the head train by mini-batches."""

    head_factor: float = head_factor_knob(10.0)
    stage_decay: float = stage_decay_knob(0.9)
    weight_decay: float = knob(0.01, "Weight decay", "Pulls weights towards zero.", low=0, high=1)
    label_smoothing: float = knob(
        0.1, "Label smoothing", "Trains towards 'rather sure' instead of 'certain'; helps with doubtful labels.",
        low=0, high=0.5,
    )  # fmt: skip
    freeze_batch_norm: bool = freeze_batch_norm_knob(False)
    average: float = knob(
        0.98, "Weight averaging", "Decay per step of the running average that is validated and kept; 0: none.",
        low=0, high=0.9999,
    )  # fmt: skip

    def phase(self, task: Task, name: str, loss: Loss | None = None, **others: Any) -> Phase:
        """Return a phase that trains everything from the cut on; `others` are further fields of Phase."""
        fields: dict[str, Any] = {
            "name": name,
            "epochs": task.epochs,
            "cut": task.cut,
            "loss": loss or partial(self.supervised, task=task),
            "lr": task.lr,
            "modules": self.factors(task),
            "weight_decay": self.weight_decay,
            "freeze_batch_norm": self.freeze_batch_norm,
            "average": self.average,
        }
        return Phase(**(fields | others))

    def factors(self, task: Task) -> dict[str, float]:
        """Return the learning-rate factor of each stage from the cut on, and of the heads."""
        trained = range(task.cut, task.stages)
        factors = {f"stages.{index}": self.stage_decay ** (task.stages - 1 - index) for index in trained}
        return factors | {"heads": self.head_factor}

    def supervised(self, model: Classifier, batch: Batch, _progress: float, *, task: Task) -> StepLoss:
        """Return the cross-entropy of the labelled images."""
        logits = model(batch.x, task.cut)
        return StepLoss({"cross-entropy": self.cross_entropy(logits, batch, task)}, logits)

    def cross_entropy(self, logits: Tensor, batch: Batch, task: Task) -> Tensor:
        """Return the weighted, smoothed cross-entropy of logits [n, classes] of the labelled images."""
        from transfer_core.losses.supervised import weighted_cross_entropy

        weights = logits.new_tensor(task.class_weights)
        return weighted_cross_entropy(
            logits, batch.y, weights, smoothing=self.label_smoothing, soft=batch.soft
        )
