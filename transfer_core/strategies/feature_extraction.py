"""Feature extraction: a linear probe on the frozen backbone, solved to convergence.

Donahue et al. 2014, "DeCAF"; Kornblith et al. 2019, "Do Better ImageNet Models Transfer Better?"
(multinomial logistic regression by L-BFGS on the frozen features, regularisation chosen on
validation images). Every epoch is one point on the regularisation path, from strong to weak, started
from the solution before; the validation loss then chooses the point, as it chooses the epoch elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from transfer_core.knobs import knob
from transfer_core.strategies.base import Batch, Phase, StepLoss, Strategy, Task

if TYPE_CHECKING:
    from transfer_core.models.model import Classifier


@dataclass(frozen=True)
class FeatureExtraction(Strategy):
    """A linear probe on frozen features."""

    name: ClassVar[str] = "feature_extraction"
    title: ClassVar[str] = "Feature extraction"
    about: ClassVar[str] = (
        "The backbone stays as it is and only a linear classifier on top is trained. "
        "The fastest choice, and the safest with few images."
    )
    mixes_at_cut: ClassVar[bool] = False
    freezes: ClassVar[Literal["all"]] = "all"

    strongest: float = knob(
        1.0,
        "Strongest regularisation",
        "Where the path begins: the penalty on the weights, relative to the size of the features.",
        low=1e-6,
        high=1e3,
    )
    weakest: float = knob(
        1e-5, "Weakest regularisation", "Where the path ends; weaker fits the training images closer.",
        low=1e-9, high=1e3,
    )  # fmt: skip

    def phases(self, task: Task) -> list[Phase]:
        """Return one phase per point on the regularisation path."""
        ratio = (self.weakest / self.strongest) ** (1 / max(1, task.epochs - 1))
        return [
            Phase(
                name=f"linear probe, regularisation {self.strongest * ratio**step:.1e}",
                epochs=1,
                cut=task.stages,
                loss=partial(
                    penalised_cross_entropy,
                    strength=self.strongest * ratio**step,
                    class_weights=task.class_weights,
                ),
                lr=1.0,
                modules={"heads": 1.0},
                batches="full",
                steps=8,  # times 25 L-BFGS iterations at most; a converged step is free
                optimiser="lbfgs",
                continues=step > 0,
            )
            for step in range(task.epochs)
        ]


def penalised_cross_entropy(
    model: Classifier, batch: Batch, _progress: float, *, strength: float, class_weights: tuple[float, ...]
) -> StepLoss:
    """Return cross-entropy and ridge penalty of the head on features [n, d].

    The penalty is strength / 2 * mean(x^2) * |W|^2: scaling the features scales the solution and
    changes nothing else. It equals scikit-learn's `LogisticRegression(C=1 / (n * strength *
    mean(x^2)))`; like there, the bias is not penalised.
    """
    from transfer_core.losses.supervised import weighted_cross_entropy

    head = model.heads["main"]
    weights = batch.x.new_tensor(class_weights)
    scale = batch.x.square().mean().detach()
    logits = model(batch.x, len(model.stages))
    penalty = strength / 2 * scale * head.weight.square().sum()  # type: ignore[operator]
    loss = weighted_cross_entropy(logits, batch.y, weights, soft=batch.soft)
    return StepLoss({"cross-entropy": loss, "penalty": penalty}, logits)
