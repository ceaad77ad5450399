"""Fine-tuning: the stages from the cut on train together with the head, from pretrained weights.

Yosinski et al. 2014, "How transferable are features in deep neural networks?"; lower learning rates
for lower stages after Howard and Ruder 2018, "Universal Language Model Fine-tuning". `cut == 0` is
full fine-tuning.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from transfer_core.knobs import knob
from transfer_core.strategies.base import Batch, Phase, StepLoss, Task

if TYPE_CHECKING:
    from transfer_core.models.model import Classifier


@dataclass(frozen=True)
class FineTuning:
    """Fine-tuning above the cut."""

    name: ClassVar[str] = "fine_tuning"
    title: ClassVar[str] = "Fine-tuning"
    about: ClassVar[str] = (
        "The upper stages adapt to your images, the lower ones stay frozen. "
        "More accurate than feature extraction once there are a few hundred images."
    )
    needs: ClassVar[tuple[str, ...]] = ()
    chooses_cut: ClassVar[bool] = True

    head_factor: float = knob(
        10.0, "Head learning rate factor", "The new head learns this many times faster than the stages.",
        low=1, high=1000,
    )  # fmt: skip
    stage_decay: float = knob(
        0.9, "Learning rate decay per stage", "Each stage learns this factor slower than the one above it.",
        low=0.1, high=1,
    )  # fmt: skip
    weight_decay: float = knob(0.01, "Weight decay", "Pulls weights towards zero.", low=0, high=1)
    label_smoothing: float = knob(
        0.1, "Label smoothing", "Trains towards 'rather sure' instead of 'certain'; helps with doubtful labels.",
        low=0, high=0.5,
    )  # fmt: skip
    freeze_batch_norm: bool = knob(
        False, "Freeze batch-norm statistics", "Keeps the pretrained statistics; steadier with small batches."
    )

    average: float = knob(
        0.98, "Weight averaging", "Decay per step of the running average that is validated and kept; 0: none.",
        low=0, high=0.9999,
    )  # fmt: skip

    def phases(self, task: Task) -> list[Phase]:
        """Return the one phase."""
        trained = range(task.cut, task.stages)
        factors = {f"stages.{index}": self.stage_decay ** (task.stages - 1 - index) for index in trained}
        return [
            Phase(
                name="fine-tuning",
                epochs=task.epochs,
                cut=task.cut,
                loss=partial(
                    smoothed_cross_entropy,
                    cut=task.cut,
                    smoothing=self.label_smoothing,
                    class_weights=task.class_weights,
                ),
                lr=task.lr,
                modules=factors | {"heads": self.head_factor},
                weight_decay=self.weight_decay,
                freeze_batch_norm=self.freeze_batch_norm,
                average=self.average,
            )
        ]


def smoothed_cross_entropy(
    model: Classifier,
    batch: Batch,
    _progress: float,
    *,
    cut: int,
    smoothing: float,
    class_weights: tuple[float, ...],
) -> StepLoss:
    """Return the cross-entropy of logits [n, classes] with smoothed labels (Szegedy et al. 2016)."""
    from torch.nn.functional import cross_entropy

    logits = model(batch.x, cut)
    weights = logits.new_tensor(class_weights)
    loss = cross_entropy(logits, batch.y, weights, label_smoothing=smoothing)
    return StepLoss({"cross-entropy": loss}, logits)
