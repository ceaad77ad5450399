"""From scratch: the same architecture with random weights, so that one sees what pretraining is worth.

He et al. 2019, "Rethinking ImageNet Pre-training".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from transfer_core.strategies.base import Group, Phase, Task
from transfer_core.strategies.tuning import Tuning, head_factor_knob, stage_decay_knob


@dataclass(frozen=True)
class FromScratch(Tuning):
    """Training all stages from random weights."""

    name: ClassVar[str] = "from_scratch"
    title: ClassVar[str] = "From scratch"
    group: ClassVar[Group] = "baseline"
    about: ClassVar[str] = (
        "The same network without anything learnt before. "
        "A baseline that shows what the pretrained weights are worth; seldom a choice for real use."
    )
    cost: ClassVar[str] = "nothing is frozen, so nothing can be computed once"
    freezes: ClassVar[Literal["nothing"]] = "nothing"
    pretrained: ClassVar[bool] = False

    # Every stage at the same rate: there is nothing to preserve.
    head_factor: float = head_factor_knob(1.0)
    stage_decay: float = stage_decay_knob(1.0)

    def phases(self, task: Task) -> list[Phase]:
        """Return the one phase."""
        return [self.phase(task, "training from scratch")]
