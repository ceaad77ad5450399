"""From a spec to everything that training and prediction need: data, model, device, activations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import nn

from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split
from transfer_core.models.activations import Activations
from transfer_core.models.backbones import Backbone, get_backbone
from transfer_core.models.cache import ActivationCache, choose_stored
from transfer_core.models.device import make_device
from transfer_core.models.loading import load_backbone
from transfer_core.models.model import MAIN, Classifier
from transfer_core.models.prefix import Prefix
from transfer_core.models.weights import find_weights, weights_fingerprint
from transfer_core.strategies import Task
from transfer_core.training.spec import RunSpec


@dataclass
class Setup:
    """A run's parts, put together. `cache` is None where the spec asks for none."""

    spec: RunSpec
    manifest: Manifest
    split: Split
    backbone: Backbone
    model: Classifier
    device: torch.device
    library: Library
    cache: ActivationCache | None
    weights: str  # fingerprint
    budget: int  # bytes that stored activations may take

    @property
    def task(self) -> Task:
        """What the strategy may know."""
        return Task(
            classes=self.manifest.classes,
            class_weights=class_weights(self.manifest, self.split, self.spec.class_weights),
            n_train=len(self.split.part("train")),
            stages=len(self.backbone.stages),
            cut=self.spec.cut,
            epochs=self.spec.epochs,
            lr=self.spec.lr,
        )

    def stored_stage(self, cut: int) -> int:
        """Return after how many stages the cache keeps activations for a cut."""
        return choose_stored(self.backbone, cut, self._rows, self.budget)

    def activations(self, cut: int) -> Activations:
        """Return the activations of the data set's images at a cut."""
        return Activations(
            self.library,
            self.manifest.reading,
            self.backbone,
            Prefix(self.model.stages, cut, self.stored_stage(cut), self.backbone, self.device),
            weights=self.weights,
            geometry=self.spec.geometry,
            augment=self.spec.augment,
            seed=self.spec.seed,
            cache=self.cache if self._pixels_fit() or self.stored_stage(cut) else None,
        )

    def _pixels_fit(self) -> bool:
        """Tell whether decoded pixels, the least that can be kept, stay within the budget."""
        return self._rows * 3 * self.backbone.size**2 <= self.budget

    @property
    def _rows(self) -> int:
        return len(self.manifest.rows) * max(1, self.spec.views)

    def targets(self, images: list[str]) -> torch.Tensor:
        """Return the class numbers [n] of images, -1 where unlabelled."""
        numbers = {name: index for index, name in enumerate(self.manifest.classes)}
        rows = self.manifest.by_image
        labels = [numbers.get(rows[image].label or "", -1) for image in images]
        return torch.tensor(labels, dtype=torch.int64, device=self.device)


def make_setup(
    spec: RunSpec,
    library: Library,
    cache: ActivationCache,
    *,
    stages: nn.Sequential | None = None,
) -> Setup:
    """Put a run's parts together; `stages` stands in for the pretrained ones (tests)."""
    manifest = library.get(spec.manifest)
    backbone = get_backbone(spec.backbone)
    weights = "given"
    if stages is None:
        path = find_weights(backbone, library.home)
        stages = load_backbone(backbone, path, library.home)
        weights = weights_fingerprint(path) if path else ""
    device = make_device(spec.device)
    torch.manual_seed(spec.seed)
    model = Classifier(stages, backbone.feature_dim, {MAIN: len(manifest.classes)})
    return Setup(
        spec=spec,
        manifest=manifest,
        split=library.get_split(spec.manifest, spec.split),
        backbone=backbone,
        model=model,
        device=device,
        library=library,
        cache=cache if spec.cache else None,
        weights=weights,
        budget=cache.budget,
    )


def class_weights(manifest: Manifest, split: Split, rule: str) -> tuple[float, ...]:
    """Return one loss weight per class: 1, or n / (classes * n of the class) where balanced."""
    counts = Counter(manifest.by_image[image].label for image in split.part("train"))
    if rule == "none":
        return (1.0,) * len(manifest.classes)
    total = sum(counts.values())
    return tuple(total / (len(manifest.classes) * counts[name]) for name in manifest.classes)
