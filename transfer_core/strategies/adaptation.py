"""What the methods share that learn from a labelled source domain and unlabelled images of a target domain."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from transfer_core.errors import UserError
from transfer_core.knobs import knob
from transfer_core.strategies.base import TARGET, Batch, Group, Task
from transfer_core.strategies.tuning import Tuning

if TYPE_CHECKING:
    from torch import Tensor

    from transfer_core.models.model import Classifier
    from transfer_core.models.statistics import OtherStatistics


def measure_frozen_knob(default: bool) -> Any:
    """Return the knob `measure_frozen`."""
    return knob(
        default, "Measure the frozen stages too",
        "Their batch-norm statistics are measured on each domain before training. What the cache then keeps is of this split alone.",
    )  # fmt: skip


def match_shares_knob(default: float) -> Any:
    """Return the knob `match_shares`, which a method may have on by default."""
    return knob(
        default, "Weight of equal class shares",
        "Pulls the shares of the classes said on the target towards those of the source; 0: no pull. "
        "Only where classes are about as frequent in both domains.",
        low=0, high=100,
    )  # fmt: skip


def source_statistics(model: Classifier) -> AbstractContextManager[None]:
    """Return the context in which the model has the source's statistics, where it keeps them."""
    if "source_statistics" not in model.extras:
        return nullcontext()
    statistics: OtherStatistics = model.extras["source_statistics"]  # type: ignore[assignment]
    return statistics.applied(model.stages)


@dataclass(frozen=True)
class Adaptation(Tuning):
    """Tuning on the source with a further loss on the target's images."""

    group: ClassVar[Group] = "adaptation"
    cost: ClassVar[str] = "about twice fine-tuning"
    needs: ClassVar[tuple[str, ...]] = (TARGET,)
    trains_stages: ClassVar[bool] = True
    mixes_at_cut: ClassVar[bool] = False

    batch_norm: str = knob(
        "target", "Batch-norm statistics",
        "target: each domain has its own, and the target's are used for testing. separate: each domain by its own in "
        "training, a running mean of both in testing. shared: both domains in one batch.",
        choices=("shared", "separate", "target"),
    )  # fmt: skip

    measure_frozen: bool = measure_frozen_knob(False)

    match_shares: float = match_shares_knob(0.0)

    def prepare(self, model: Classifier, task: Task) -> None:
        """Keep statistics of the source apart where the model's own are to be the target's."""
        from transfer_core.models.statistics import OtherStatistics

        if self.measure_frozen and self.batch_norm != "target":
            raise UserError(
                "Measuring the frozen stages (measure_frozen) needs statistics of each domain's own: set batch_norm to target."
            )
        if self.batch_norm == "target" and task.has_target:
            model.extras["source_statistics"] = OtherStatistics(model.stages)

    def measures_domains(self, task: Task) -> bool:
        """Tell whether there are frozen stages whose statistics are to be each domain's own."""
        return self.measure_frozen and task.has_target and task.cut > 0

    def looking_at_source(self, model: Classifier, task: Task) -> AbstractContextManager[None]:
        """Return the context in which images of the source are looked at: with statistics of their own."""
        return source_statistics(model)

    def shares(self, target: Tensor, model: Classifier, task: Task) -> dict[str, Tensor]:
        """Return the term that keeps class shares, for target features [m, d]; empty where it has no weight."""
        from transfer_core.losses.confusion import share_divergence

        if not self.match_shares:
            return {}
        logits = model.heads["main"](target)
        wanted = logits.new_tensor(task.class_shares)
        return {"class shares": self.match_shares * share_divergence(logits, wanted)}

    def features(self, model: Classifier, batch: Batch, task: Task) -> tuple[Tensor, Tensor]:
        """Return the features ([n, d], [m, d]) of the batch's source and target images."""
        import torch

        assert batch.x_target is not None
        if self.in_one_batch(task):
            both = model.features(torch.cat([batch.x, batch.x_target]), task.cut)
            return both[: len(batch.x)], both[len(batch.x) :]
        with self.looking_at_source(model, task):
            source = model.features(batch.x, task.cut)
        return source, model.features(batch.x_target, task.cut)

    def in_one_batch(self, task: Task) -> bool:
        """Tell whether labelled and unlabelled images are normalised together; without a target all are of one kind."""
        return self.batch_norm == "shared" or not task.has_target
