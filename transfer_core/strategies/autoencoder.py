"""Autoencoder pretraining: the upper stages first learn to keep what your images show, without labels.

Vincent et al. 2008, "Extracting and Composing Robust Features with Denoising Autoencoders"; Erhan et al.
2010, "Why Does Unsupervised Pre-training Help Deep Learning?". What is rebuilt is the activation at the
cut (the pixels where nothing is frozen), with a part of it blanked, so that it works from the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from transfer_core.knobs import knob
from transfer_core.strategies.base import Batch, Group, Phase, StepLoss, Task
from transfer_core.strategies.tuning import Tuning

if TYPE_CHECKING:
    from transfer_core.models.model import Classifier


@dataclass(frozen=True)
class Autoencoder(Tuning):
    """Denoising-autoencoder pretraining, then fine-tuning."""

    name: ClassVar[str] = "autoencoder"
    title: ClassVar[str] = "Autoencoder pretraining"
    group: ClassVar[Group] = "few labels"
    about: ClassVar[str] = (
        "First learns from all your images without labels how they are built, then from the labels. "
        "For images far from photographs, of which many have no label."
    )
    trains_stages: ClassVar[bool] = True
    looks_at_unlabelled: ClassVar[bool] = True
    cost: ClassVar[str] = "the pretraining epochs come on top of fine-tuning"

    pretraining: int = knob(
        5, "Pretraining epochs", "Passes over all images without labels.", unit="epochs", low=1, high=1000
    )
    blanked: float = knob(
        0.3, "Blanked share", "How much of each image is hidden and must be rebuilt.", low=0, high=0.9
    )

    def prepare(self, model: Classifier, task: Task) -> None:
        """Add the decoder."""
        from transfer_core.models.heads import Decoder

        model.extras["decoder"] = Decoder(task.feature_dim, task.shape)

    def phases(self, task: Task) -> list[Phase]:
        """Return pretraining, whose epochs cannot be chosen, and fine-tuning."""
        factors = self.factors(task)
        del factors["heads"]
        pretraining = self.phase(
            task,
            "autoencoder pretraining",
            partial(self.rebuild, task=task),
            epochs=self.pretraining,
            modules=factors | {"extras.decoder": self.head_factor},
            batches="everything",
            selects="never",
        )
        return [pretraining, self.phase(task, "fine-tuning", selects="anew")]

    def rebuild(self, model: Classifier, batch: Batch, _progress: float, *, task: Task) -> StepLoss:
        """Return the mean squared error of the rebuilt activation, relative to its variance."""
        from transfer_core.models.heads import blank

        features = model.features(blank(batch.x, self.blanked), task.cut)
        loss = model.extras["decoder"](features, batch.x)
        return StepLoss({"reconstruction": loss}, model.heads["main"](features.detach()))
