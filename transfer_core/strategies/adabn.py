"""AdaBN: the batch-norm statistics of the target domain instead of the source's.

Li et al. 2017, "Revisiting Batch Normalization For Practical Domain Adaptation". The cheapest
adaptation there is: no training beyond source-only, one pass over the target's images. The frozen
stages are measured on each domain before training, the others on the target after it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from transfer_core.errors import UserError
from transfer_core.strategies.adaptation import measure_frozen_knob, source_statistics
from transfer_core.strategies.base import BATCH_NORM, TARGET, Batch, Group, Phase, StepLoss, Task
from transfer_core.strategies.tuning import Tuning

if TYPE_CHECKING:
    from transfer_core.models.model import Classifier


@dataclass(frozen=True)
class AdaBN(Tuning):
    """Source-only training, then the target's batch-norm statistics."""

    name: ClassVar[str] = "adabn"
    title: ClassVar[str] = "Target statistics (AdaBN)"
    group: ClassVar[Group] = "adaptation"
    about: ClassVar[str] = (
        "Trains on the source, then measures brightness and contrast inside the network anew on the target. "
        "For two domains that differ by camera or lighting; it costs almost nothing."
    )
    cost: ClassVar[str] = "as source only, and one pass over the target's images"
    needs: ClassVar[tuple[str, ...]] = (TARGET, BATCH_NORM)

    measure_frozen: bool = measure_frozen_knob(True)

    def prepare(self, model: Classifier, task: Task) -> None:
        """Refuse a network that has no batch-norm to measure; keep the statistics of the source apart.

        Those of the frozen stages from the beginning, the others once they are learnt.
        """
        from transfer_core.models.statistics import OtherStatistics, has_batch_norm

        if not has_batch_norm(model.stages[task.cut :]):
            raise UserError(
                "This backbone has no batch-norm above the frozen stages: choose another strategy, or freeze fewer stages.",
                "unmet-need",
            )
        model.extras["source_statistics"] = OtherStatistics(model.stages, below=task.cut)

    def measures_domains(self, task: Task) -> bool:
        """Tell whether there are frozen stages whose statistics are to be each domain's own."""
        return self.measure_frozen and task.has_target and task.cut > 0

    def looking_at_source(self, model: Classifier, task: Task) -> AbstractContextManager[None]:
        """Return the context in which images of the source are looked at: with statistics of their own."""
        return source_statistics(model)

    def phases(self, task: Task) -> list[Phase]:
        """Return source-only training, then one epoch of measuring, whose outcome is the model."""
        measured = Phase(
            name="measuring batch-norm on the target",
            epochs=1,
            cut=task.cut,
            loss=partial(_measure, cut=task.cut),
            lr=task.lr,
            modules=self.factors(task),
            batches="target",
            optimiser="none",
            selects="anew",
            starts_from="best",
            before=_begin_anew,
        )
        return [self.phase(task, "training on the source"), measured]


def _begin_anew(model: Classifier) -> None:
    """Keep what was learnt of the source for the source, and let the statistics above the cut begin anew."""
    from transfer_core.models.statistics import OtherStatistics, forget_statistics

    source = model.extras["source_statistics"]
    assert isinstance(source, OtherStatistics)
    source.keep_all(model.stages)
    forget_statistics(model)


def _measure(model: Classifier, batch: Batch, _progress: float, *, cut: int) -> StepLoss:
    """Let target activations [n, ...] through, batch-norms in training mode: the statistics follow by themselves."""
    from transfer_core.models.statistics import nothing_dropped

    with nothing_dropped(model):
        logits = model(batch.x, cut)
    return StepLoss({"cross-entropy": logits.sum() * 0}, logits)
