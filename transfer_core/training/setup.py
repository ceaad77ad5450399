"""From a spec to everything that training and prediction need: data, model, device, activations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn

from transfer_core.data.augment import get_augmentation
from transfer_core.data.library import Library
from transfer_core.data.manifest import TARGET_TRAIN, Manifest
from transfer_core.data.split import Split, divide
from transfer_core.errors import UserError
from transfer_core.models.activations import Activations
from transfer_core.models.backbones import Backbone, get_backbone
from transfer_core.models.cache import ActivationCache, choose_stored
from transfer_core.models.device import make_device
from transfer_core.models.loading import load_backbone, make_stages
from transfer_core.models.model import MAIN, Classifier
from transfer_core.models.prefix import Prefix
from transfer_core.models.weights import find_weights, weights_fingerprint
from transfer_core.strategies import Strategy, Task
from transfer_core.training.rules import unmet_need
from transfer_core.training.spec import RunSpec

SOURCE_CLASSES = "classes of the source"  # the second question where source and target have different classes


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

    @cached_property
    def strategy(self) -> Strategy:
        """The strategy with the spec's knobs."""
        return self.spec.make_strategy()

    @cached_property
    def task(self) -> Task:
        """What the strategy may know."""
        train = self.images("train")
        counts = Counter(self.labels("train").tolist())
        source = Counter(self.targets(self.split.part("train")).tolist())  # without labels of the target
        total = max(1, sum(source[number] for number in range(len(self.manifest.classes))))
        shapes = [(3, self.backbone.size, self.backbone.size), *(each.shape for each in self.backbone.stages)]
        return Task(
            classes=self.manifest.classes,
            class_weights=class_weights(counts, len(self.manifest.classes), self.spec.class_weights),
            class_shares=tuple(source[number] / total for number in range(len(self.manifest.classes))),
            n_train=len(train),
            stages=len(self.backbone.stages),
            feature_dim=self.backbone.feature_dim,
            shape=shapes[self.spec.cut],
            cut=self.spec.cut,
            epochs=self.spec.epochs,
            lr=self.spec.lr,
            seed=self.spec.seed,
            tasks={name: len(values) for name, values in self._tasks.items()},
            has_target=self.has_target,
            asked=self.asked,
        )

    @property
    def has_target(self) -> bool:
        """Whether the split names a target domain."""
        return self.split.rule == "transfer"

    @cached_property
    def picked(self) -> list[str]:
        """The images of the target's training part whose labels the user allowed to be used."""
        wanted = int(getattr(self.strategy, "target_labels", 0))
        return pick(self.manifest, self.split.part(TARGET_TRAIN), wanted, self.spec.seed) if wanted else []

    @property
    def asked(self) -> tuple[int, ...]:
        """The numbers of the target's classes where the source has others; empty where both have the same."""
        known = self.split.receipt.counts.get(TARGET_TRAIN, {})
        names = [name for name in self.manifest.classes if known.get(name)] if self.split.new_classes else []
        return tuple(self.manifest.classes.index(name) for name in names)

    @cached_property
    def choosing(self) -> list[str]:
        """Of `picked`, about a quarter, where only they can tell which epoch is best: the target has other classes."""
        return set_aside(self.manifest, self.picked, 0.25, self.spec.seed) if self.asked else []

    def images(self, part: str) -> list[str]:
        """Return the images of "train", "val" or "unlabelled", in a canonical order.

        Training images are those of the split's part, as many per class as the strategy's `shots` says
        where it says so, and the target's images whose labels may be used. Unlabelled are the target's
        training part, or, where there is no target, what the split leaves out and nothing
        tested or chosen by has to do with.
        """
        if part == "train":
            own = self.split.part("train")
            shots = int(getattr(self.strategy, "shots", 0))
            own = pick(self.manifest, own, shots, self.spec.seed) if shots else own
            return own + [image for image in self.picked if image not in self.choosing]
        if part == "val" and self.choosing:
            return self.choosing
        if part == "unlabelled":
            if self.has_target:
                return self.split.part(TARGET_TRAIN)
            return sorted(self.split.free(self.manifest))
        return self.split.part(part)

    def labels(self, part: str) -> torch.Tensor:
        """Return the class numbers [n] of a part's images, -1 where there is none that may be used."""
        if part == "unlabelled":
            return torch.full((len(self.images(part)),), -1, device=self.device)
        labels = self.targets(self.images(part))
        if (
            part == "train" and self.split.new_classes
        ):  # the source answers its own question, not the target's
            labels[[image not in self.picked for image in self.images(part)]] = -1
        return labels

    def task_labels(self, images: list[str]) -> dict[str, torch.Tensor]:
        """Return the numbers [n] of further labels by their name, -1 where an image has none."""
        found = {}
        for name, values in self._tasks.items():
            numbers = [values.index(each) if (each := self._further(name, image)) else -1 for image in images]
            found[name] = torch.tensor(numbers, dtype=torch.int64, device=self.device)
        return found

    @cached_property
    def _tasks(self) -> dict[str, list[str]]:
        """The values of each further label that the strategy trains on, as the training images have them."""
        if not hasattr(self.strategy, "auxiliary"):
            return {}
        if self.split.new_classes:
            name = SOURCE_CLASSES
        else:
            name = choose_auxiliary(self.manifest, self.strategy.auxiliary)
        values = {self._further(name, image) for image in self.images("train")} - {None}
        return {name: sorted(each for each in values if each)}

    def _further(self, name: str, image: str) -> str | None:
        row = self.manifest.by_image[image]
        if name == SOURCE_CLASSES:
            return row.label if self.split.assignment[image] == "train" else None
        return row.extra.get(name)

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
            partners=self.images("train") if get_augmentation(self.spec.augment).mixes else (),
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
    torch.manual_seed(spec.seed)
    if not spec.make_strategy().pretrained:
        stages, weights = make_stages(backbone) if stages is None else renew(stages), f"random-{spec.seed}"
    if stages is None:
        path = find_weights(backbone, library.home)
        stages = load_backbone(backbone, path, library.home)
        weights = weights_fingerprint(path) if path else ""
    device = make_device(spec.device)
    model = Classifier(stages, backbone.feature_dim, {MAIN: len(manifest.classes)})
    setup = Setup(
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
    check_needs(setup)
    setup.strategy.prepare(model, setup.task)
    return setup


def renew(stages: nn.Sequential) -> nn.Sequential:
    """Draw the weights of all layers anew, as PyTorch does when it makes them."""
    for module in stages.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()  # type: ignore[operator]
    return stages


def pick(manifest: Manifest, images: list[str], count: int, seed: int) -> list[str]:
    """Return up to `count` images of each class, drawn by the seed."""
    rng = np.random.default_rng([seed, 83])
    found: list[str] = []
    for name in manifest.classes:
        own = [image for image in images if manifest.by_image[image].label == name]
        found += [own[index] for index in rng.permutation(len(own))[:count]]
    return sorted(found)


def set_aside(manifest: Manifest, images: list[str], share: float, seed: int) -> list[str]:
    """Return about a share of labelled images, in whole groups where that leaves each class on both sides.

    Otherwise single images of each class, at least one and never all.
    """
    rows = [manifest.by_image[image] for image in images]
    rng = np.random.default_rng([seed, 89])
    parts = divide(rows, (1 - share, share, 0.0), rng)
    sides = {(row.label, parts[row.image]) for row in rows}
    if len(sides) == 2 * len({row.label for row in rows}):
        return sorted(image for image, part in parts.items() if part == "val")
    found: list[str] = []
    for label in sorted({row.label or "" for row in rows}):
        own = [row.image for row in rows if row.label == label]
        count = min(len(own) - 1, max(1, round(share * len(own))))
        found += [own[index] for index in rng.permutation(len(own))[:count]]
    return sorted(found)


def choose_auxiliary(manifest: Manifest, wanted: str) -> str:
    """Return the name of the further label that is meant; UserError lists what there is."""
    possible = sorted({name for row in manifest.rows for name in row.extra})
    if wanted in possible:
        return wanted
    if not wanted and len(possible) == 1:
        return possible[0]
    if not possible:
        message = "This data set has no further label: bring a table of labels with one, or choose another strategy."
        raise UserError(message, "no-further-label")
    raise UserError(f"Say which further label is the second question (auxiliary): {', '.join(possible)}.")


def check_needs(setup: Setup) -> None:
    """Raise UserError where a strategy needs what the data set or the split does not have."""
    missing = unmet_need(setup.strategy, setup.manifest, setup.split)
    if missing:
        raise UserError(missing, "unmet-need")


def class_weights(counts: Mapping[int, int], classes: int, rule: str) -> tuple[float, ...]:
    """Return one loss weight per class: 1, or n / (classes * n of the class) where balanced."""
    if rule == "none":
        return (1.0,) * classes
    total = sum(counts[number] for number in range(classes))
    return tuple(total / (classes * counts[number]) if counts[number] else 1.0 for number in range(classes))
