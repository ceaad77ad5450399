"""Fine-tuning: the stages from the cut on train together with the head, from pretrained weights.

Yosinski et al. 2014, "How transferable are features in deep neural networks?"; lower learning rates
for lower stages and gradual unfreezing after Howard and Ruder 2018, "Universal Language Model
Fine-tuning"; the pull towards the pretrained weights is L2-SP (Li et al. 2018, "Explicit Inductive
Bias for Transfer Learning with Convolutional Networks"). `cut == 0` is full fine-tuning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from transfer_core.knobs import knob
from transfer_core.strategies.base import Phase, Task
from transfer_core.strategies.tuning import Tuning


@dataclass(frozen=True)
class FineTuning(Tuning):
    """Fine-tuning above the cut."""

    name: ClassVar[str] = "fine_tuning"
    title: ClassVar[str] = "Fine-tuning"
    about: ClassVar[str] = (
        "The upper stages adapt to your images, the lower ones stay frozen. "
        "More accurate than feature extraction once there are a few hundred images."
    )

    unfreeze: bool = knob(
        False, "Gradual unfreezing", "Begins with the head and lets one more stage train each epoch, from the top."
    )  # fmt: skip
    l2_sp: float = knob(
        0.0, "Pull towards pretrained weights (L2-SP)", "Instead of weight decay; helps when images are few.",
        low=0, high=10,
    )  # fmt: skip

    @classmethod
    def costs(cls) -> str:
        """Return in words what it costs."""
        return "minutes to hours, by images and stages that train"

    def phases(self, task: Task) -> list[Phase]:
        """Return one phase, or with gradual unfreezing one per stage before it."""
        decay: dict[str, Any] = {"anchor": self.l2_sp} if self.l2_sp else {}
        steps = min(task.stages - task.cut, task.epochs - 1) if self.unfreeze else 0
        opening = [
            self.phase(
                task,
                f"fine-tuning, {step} stages free",
                epochs=1,
                modules={name: factor for name, factor in self.factors(task).items() if _free(name, task, step)},
                continues=step > 0,
                **decay,
            )
            for step in range(steps)
        ]  # fmt: skip
        return [
            *opening,
            self.phase(task, "fine-tuning", epochs=task.epochs - steps, continues=steps > 0, **decay),
        ]


def _free(part: str, task: Task, step: int) -> bool:
    """Tell whether a part trains when the top `step` stages are free; the heads always do."""
    kind, _, number = part.partition(".")
    return kind == "heads" or int(number) >= task.stages - step
