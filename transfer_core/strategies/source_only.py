"""Source only: fine-tuning on the labelled source domain, the target's images not looked at.

The baseline every adaptation is measured against (Ben-David et al. 2010, "A theory of learning from
different domains"): what it cannot beat, it does not help with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transfer_core.strategies.base import TARGET, Group, Phase, Task
from transfer_core.strategies.tuning import Tuning


@dataclass(frozen=True)
class SourceOnly(Tuning):
    """Fine-tuning on the source domain."""

    name: ClassVar[str] = "source_only"
    title: ClassVar[str] = "Source only"
    group: ClassVar[Group] = "baseline"
    about: ClassVar[str] = (
        "Trains on the labelled domain and hopes that it works on the other. "
        "The baseline: every adaptation is compared with it."
    )
    needs: ClassVar[tuple[str, ...]] = (TARGET,)

    def phases(self, task: Task) -> list[Phase]:
        """Return the one phase."""
        return [self.phase(task, "training on the source")]
