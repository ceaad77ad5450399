"""Meta-transfer: a pretrained network learns, on many small problems, to learn from few examples.

Sun et al. 2019, "Meta-Transfer Learning for Few-Shot Learning". All weights stay; each kernel gets one
scale and each bias a shift, trained on episodes over base classes. Inside an episode only the classifier
is fitted to the examples (first order: its steps count as constants), and the loss is that of the
queries. At the end the classifier is fitted to all classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from transfer_core.errors import UserError
from transfer_core.knobs import knob
from transfer_core.strategies.base import (
    CONVOLUTIONS,
    Batch,
    Episodes,
    Group,
    Phase,
    StepLoss,
    Strategy,
    Task,
)

if TYPE_CHECKING:
    from torch import Tensor

    from transfer_core.models.model import Classifier

BASE = 0.6  # share of the classes that episodes are drawn from; the others are new to meta-training


@dataclass(frozen=True)
class MetaTransfer(Strategy):
    """Scale and shift on episodes."""

    name: ClassVar[str] = "meta_transfer"
    title: ClassVar[str] = "Meta-transfer"
    group: ClassVar[Group] = "few labels"
    about: ClassVar[str] = (
        "Practises on many small problems how to learn a class from few images. "
        "For comparison: on drawn images fine-tuning on all classes at once found more of the rare ones."
    )
    mixes: ClassVar[bool] = False
    mixes_at_cut: ClassVar[bool] = False
    heeds_confidence: ClassVar[bool] = False
    trains_stages: ClassVar[bool] = True
    cost: ClassVar[str] = "hundreds of small problems"
    needs: ClassVar[tuple[str, ...]] = (CONVOLUTIONS,)

    way: int = knob(5, "Classes per episode", "Twice as many base classes are needed.", low=2, high=1000)
    shot: int = knob(
        5, "Examples per class and episode", "What each small problem is learnt from.", low=1, high=100
    )
    queries: int = knob(
        10, "Queries per class and episode", "What each small problem is tested on.", low=1, high=100
    )
    episodes: int = knob(50, "Episodes per epoch", "More are steadier, and take longer.", low=1, high=10_000)
    inner_steps: int = knob(50, "Steps inside an episode", "Of the classifier alone.", low=1, high=1000)
    inner_lr: float = knob(
        0.01, "Learning rate inside an episode", "Of the classifier alone.", low=1e-6, high=10
    )
    fitting: int = knob(
        10,
        "Epochs of the final classifier",
        "On all classes, after meta-training.",
        unit="epochs",
        low=1,
        high=1000,
    )

    def classes_needed(self) -> int:
        """Return how many classes a data set must have, of which 2 x way are the base classes."""
        return math.ceil(2 * self.way / BASE - 1e-9)

    @classmethod
    def fewest_classes(cls) -> int:
        """Return how many it must have with the smallest problems, of two classes each."""
        return cls(way=2).classes_needed()

    def prepare(self, model: Classifier, task: Task) -> None:
        """Add a scale per kernel and a shift per bias above the cut, and the episodes' classifier."""
        from torch import nn

        from transfer_core.models.heads import add_scale_and_shift

        scales = add_scale_and_shift(model.stages[task.cut :])
        if not len(scales):
            raise UserError(
                "Meta-transfer scales convolutions, and this backbone trains none above the cut: choose a convolutional "
                "backbone, or freeze fewer stages.",
                "unmet-need",
            )
        model.extras["scales"] = scales
        model.extras["episode"] = nn.Linear(task.feature_dim, self.way)

    def phases(self, task: Task) -> list[Phase]:
        """Return meta-training, then fitting the classifier of all classes."""
        meta = Phase(
            name="meta-training",
            epochs=task.epochs,
            cut=task.cut,
            loss=partial(self.episode_loss, task=task),
            lr=task.lr,
            modules={"extras.scales": 1.0, "extras.episode": 10.0},
            batches="episodes",
            episodes=Episodes(self.way, self.shot, self.queries, self.episodes, self.base_classes(task)),
            freeze_batch_norm=True,
            selects="never",
        )
        fit = Phase(
            name="fitting the classifier",
            epochs=self.fitting,
            cut=task.cut,
            loss=partial(_cross_entropy, task=task),
            lr=task.lr,
            modules={"heads": 10.0},
            freeze_batch_norm=True,
            selects="anew",
        )
        return [meta, fit]

    def base_classes(self, task: Task) -> tuple[int, ...]:
        """Return the classes that episodes are drawn from: those with most images, of equals by the run's seed."""
        import numpy as np

        order = np.random.default_rng([task.seed, 84]).permutation(len(task.classes))
        largest = sorted(order.tolist(), key=lambda number: -task.class_shares[number])
        return tuple(sorted(largest[: round(BASE * len(task.classes))]))

    def episode_loss(self, model: Classifier, batch: Batch, _progress: float, *, task: Task) -> StepLoss:
        """Return the queries' cross-entropy under a classifier fitted to the examples."""
        import torch
        from torch.nn.functional import cross_entropy

        from transfer_core.losses.episodes import fit_linear, number_slots

        features = model.features(batch.x, task.cut)
        present, y = number_slots(batch.y)
        n = batch.support
        start = model.extras["episode"]
        weight: Tensor = start.weight  # type: ignore[assignment]
        bias: Tensor = start.bias  # type: ignore[assignment]
        fitted = fit_linear(
            features[:n].detach(),
            y[:n],
            weight.detach(),
            bias.detach(),
            steps=self.inner_steps,
            lr=self.inner_lr,
        )
        # First order: the steps are constants, so the gradient reaches the starting point unchanged.
        weight, bias = weight + (fitted[0] - weight).detach(), bias + (fitted[1] - bias).detach()
        logits = features[n:] @ weight.T + bias
        wide = logits.new_full((len(logits), len(task.classes)), -torch.inf)
        wide[:, present] = logits[:, : len(present)].detach()
        return StepLoss({"cross-entropy": cross_entropy(logits, y[n:])}, wide)


def _cross_entropy(model: Classifier, batch: Batch, _progress: float, *, task: Task) -> StepLoss:
    from transfer_core.losses.supervised import weighted_cross_entropy

    logits = model(batch.x, task.cut)
    loss = weighted_cross_entropy(logits, batch.y, logits.new_tensor(task.class_weights))
    return StepLoss({"cross-entropy": loss}, logits)
