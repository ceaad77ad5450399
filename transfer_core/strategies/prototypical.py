"""Prototypical networks: an image belongs to the class whose mean feature is nearest.

Snell et al. 2017, "Prototypical Networks for Few-shot Learning"; with every stage frozen it is instant,
and features centred and scaled to length 1 as in Wang et al. 2019, "SimpleShot". Below that cut the
stages train on episodes, small problems drawn from the training images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from transfer_core.knobs import knob
from transfer_core.strategies.base import Batch, Episodes, Group, Phase, StepLoss, Strategy, Task

if TYPE_CHECKING:
    from transfer_core.models.heads import PrototypeHead
    from transfer_core.models.model import Classifier


@dataclass(frozen=True)
class Prototypical(Strategy):
    """Nearest prototype, instant or after episodic training."""

    name: ClassVar[str] = "prototypical"
    title: ClassVar[str] = "Prototypes"
    group: ClassVar[Group] = "few labels"
    about: ClassVar[str] = (
        "Compares an image with the average of each class; nothing has to be trained. "
        "For one or two images per class, or a first look at once; with more, feature extraction is usually better."
    )
    mixes: ClassVar[bool] = False
    mixes_at_cut: ClassVar[bool] = False
    heeds_confidence: ClassVar[bool] = False
    cost: ClassVar[str] = "instant where all stages are frozen"

    normalise: bool = knob(True, "Centre and scale features", "Compares directions rather than lengths.")
    target_labels: int = knob(
        0, "Labelled target images", "How many may be used where there is a target domain; 0: none.",
        unit="per class", low=0, high=10_000,
    )  # fmt: skip
    shots: int = knob(
        0, "Examples per class", "Uses this many training images of each class; 0: all.",
        unit="images", low=0, high=10_000,
    )  # fmt: skip
    way: int = knob(5, "Classes per episode", "At most; only where stages train.", low=2, high=1000)
    shot: int = knob(5, "Examples per class and episode", "Only where stages train.", low=1, high=100)
    queries: int = knob(5, "Queries per class and episode", "Only where stages train.", low=1, high=100)
    episodes: int = knob(50, "Episodes per epoch", "Only where stages train.", low=1, high=10_000)

    def prepare(self, model: Classifier, task: Task) -> None:
        """Put prototypes in the place of the linear head."""
        from transfer_core.models.heads import PrototypeHead

        model.heads["main"] = PrototypeHead(task.feature_dim, len(task.classes), self.normalise)

    @classmethod
    def head_parameters(cls, features: int, classes: int) -> int:
        """Return 1, the scale of the distances: prototypes are means."""
        return 1

    def phases(self, task: Task) -> list[Phase]:
        """Return the prototypes' phase, after the centre's where all is frozen, after episodes where stages train.

        Episodes know no centre, so what they trained is not centred afterwards either.
        """
        look: dict[str, Any] = {
            "epochs": 1,
            "cut": task.cut,
            "lr": task.lr,
            "modules": {},
            "optimiser": "none",
        }
        centre = Phase(name="centring", loss=partial(_centre, task=task), selects="never", **look)
        means = Phase(name="prototypes", loss=partial(_collect, task=task), selects="anew", **look)
        if task.cut == task.stages:
            return [centre, means]
        episodes = Phase(
            name="episodes",
            epochs=task.epochs,
            cut=task.cut,
            loss=partial(_episode_loss, task=task),
            lr=task.lr,
            modules=dict.fromkeys([*(f"stages.{n}" for n in range(task.cut, task.stages)), "heads"], 1.0),
            batches="episodes",
            episodes=Episodes(self.way, self.shot, self.queries, self.episodes),
            freeze_batch_norm=True,
            selects="never",
        )
        return [episodes, means]


def _centre(model: Classifier, batch: Batch, _progress: float, *, task: Task) -> StepLoss:
    """Take features [n, d] into the mean of all; the loss is that of a head that knows nothing yet."""
    head: PrototypeHead = model.heads["main"]  # type: ignore[assignment]
    features = model.features(batch.x, task.cut)
    head.take_centre(features)
    logits = head(features)
    return StepLoss({"cross-entropy": logits.sum() * 0 + math.log(len(task.classes))}, logits)


def _collect(model: Classifier, batch: Batch, _progress: float, *, task: Task) -> StepLoss:
    """Take features [n, d] into the mean of their class."""
    from torch.nn.functional import cross_entropy

    head: PrototypeHead = model.heads["main"]  # type: ignore[assignment]
    features = model.features(batch.x, task.cut)
    head.take(features, batch.y)
    logits = head(features)
    return StepLoss({"cross-entropy": cross_entropy(logits, batch.y, ignore_index=-1)}, logits)


def _episode_loss(model: Classifier, batch: Batch, _progress: float, *, task: Task) -> StepLoss:
    """Return the cross-entropy of an episode's queries against the prototypes of its examples."""
    import torch
    from torch.nn.functional import cross_entropy

    from transfer_core.losses.episodes import class_means, negative_distances

    head: PrototypeHead = model.heads["main"]  # type: ignore[assignment]
    features = head.embed(model.features(batch.x, task.cut))
    present, y = torch.unique(batch.y, return_inverse=True)
    n = batch.support
    prototypes = class_means(features[:n], y[:n], len(present))
    logits = head.scale * negative_distances(features[n:], prototypes)
    loss = cross_entropy(logits, y[n:])
    wide = logits.new_full((len(logits), len(task.classes)), -torch.inf)
    wide[:, present] = logits.detach()
    return StepLoss({"cross-entropy": loss}, wide)
