"""How good a model is after an epoch, on validation images and, without their labels, on target images.

What is chosen by is one number, lower for better. The labels of the target's images are not read: its
predictions are written down, epoch by epoch, and only after the run does anybody compare them with labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from transfer_core.evaluation.validators import (
    class_share_agreement,
    information_maximisation,
    soft_neighbourhood_density,
)
from transfer_core.files import atomic_path
from transfer_core.models.activations import Activations
from transfer_core.training.choice import score
from transfer_core.training.setup import Setup

BATCH = 64


@dataclass(frozen=True)
class Verdict:
    """The figures of an epoch: `val` of the validation images, `target` of the target's, and the score."""

    val: dict[str, float]
    target: dict[str, float]
    score: float


class Judge:
    """Looks at a run's model after each epoch."""

    def __init__(self, setup: Setup, folder: Path) -> None:
        self.setup, self.folder = setup, folder
        self._val, self._y = setup.images("val"), setup.labels("val")
        self._target = setup.images("unlabelled") if setup.has_target else []

    @property
    def images(self) -> list[str]:
        """All images that are looked at, each in its unchanged view."""
        return [*self._val, *self._target]

    @torch.no_grad()
    def look(self, activations: Activations, cut: int, epoch: int) -> Verdict:
        """Return the figures of the model as it stands."""
        self.setup.model.eval()
        with self.setup.looking_at_source():
            val = self._validate(self._logits(activations, self._val, cut))
        target: dict[str, float] = {}
        if self._target:
            probabilities = self._logits(activations, self._target, cut).cpu().double().softmax(1).numpy()
            target = self._describe(probabilities)
            self._keep(probabilities, epoch)
        return Verdict(val, target, score(self.setup.spec.select, val, target))

    def _logits(self, activations: Activations, images: list[str], cut: int) -> Tensor:
        plan = [
            (images[at : at + BATCH], [0] * len(images[at : at + BATCH]))
            for at in range(0, len(images), BATCH)
        ]
        return torch.cat([self.setup.model(x, cut) for x in activations.batches(plan)])

    def _validate(self, logits: Tensor) -> dict[str, float]:
        """Return loss (weighted as in training), accuracy and balanced accuracy of logits [n, classes]."""
        weights = logits.new_tensor(self.setup.task.class_weights)
        hits = (logits.argmax(1) == self._y).float()
        recalls = [hits[self._y == each].mean().item() for each in sorted(set(self._y.tolist()))]
        return {
            "loss": cross_entropy(logits, self._y, weights).item(),
            "accuracy": hits.mean().item(),
            "balanced_accuracy": sum(recalls) / len(recalls),
        }

    def _describe(self, probabilities: npt.NDArray[np.float64]) -> dict[str, float]:
        """Return the label-free validators, and the share of images said to be of each class."""
        said = np.bincount(probabilities.argmax(1), minlength=probabilities.shape[1]) / len(probabilities)
        shares = {
            f"share {name}": float(each) for name, each in zip(self.setup.manifest.classes, said, strict=True)
        }
        return {
            "information_maximisation": information_maximisation(probabilities),
            "soft_neighbourhood_density": soft_neighbourhood_density(probabilities),
            "class_share_agreement": class_share_agreement(probabilities, self.setup.task.class_shares),
            **shares,
        }  # fmt: skip

    def _keep(self, probabilities: npt.NDArray[np.float64], epoch: int) -> None:
        with atomic_path(target_path(self.folder, epoch)) as part, part.open("wb") as out:
            np.save(out, probabilities.astype(np.float32))


def target_path(folder: Path, epoch: int) -> Path:
    """Return where the predictions of an epoch for the target's images lie."""
    return folder / "target" / f"{epoch:05d}.npy"
