"""LP-FT: first a linear probe, then fine-tuning from it.

Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution":
a head that already fits does not push the features away in the first steps. It fits features with the pretrained
batch-norm statistics, so these stay while it is tuned (as in the authors' code): with those of each batch the
features would be others at once, and what the probe learnt worth little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transfer_core.knobs import knob
from transfer_core.strategies.base import Phase, Task
from transfer_core.strategies.feature_extraction import FeatureExtraction
from transfer_core.strategies.tuning import Tuning, freeze_batch_norm_knob, head_factor_knob


@dataclass(frozen=True)
class ProbeThenTune(Tuning):
    """A converged linear probe, then fine-tuning."""

    name: ClassVar[str] = "probe_then_tune"
    title: ClassVar[str] = "Probe, then fine-tune"
    about: ClassVar[str] = (
        "Fits the classifier on frozen features first and then lets the upper stages follow. "
        "Gentler than fine-tuning when test images may differ from the training images."
    )

    head_factor: float = head_factor_knob(1.0)  # it fits already
    freeze_batch_norm: bool = freeze_batch_norm_knob(True)

    probe: int = knob(
        8, "Epochs of the probe", "Points on the probe's regularisation path; the best one is tuned on.",
        unit="epochs", low=1, high=100,
    )  # fmt: skip

    def phases(self, task: Task) -> list[Phase]:
        """Return the probe's path, then fine-tuning from its best point; all epochs compete."""
        from dataclasses import replace

        path = FeatureExtraction().phases(replace(task, epochs=self.probe))
        return [*path, self.phase(task, "fine-tuning", starts_from="best")]
