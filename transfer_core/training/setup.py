"""From a spec to everything that training and prediction need: data, model, device, activations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from transfer_core.data.augment import get_augmentation
from transfer_core.data.library import Library
from transfer_core.data.manifest import TARGET_TRAIN, Manifest
from transfer_core.data.split import Split
from transfer_core.errors import UserError
from transfer_core.models.activations import Activations, FrozenPass
from transfer_core.models.backbones import Backbone
from transfer_core.models.cache import ActivationCache, choose_stored
from transfer_core.models.device import choose_precision, make_device
from transfer_core.models.ensemble import Ensemble
from transfer_core.models.loading import load_backbone, make_stages, renew
from transfer_core.models.model import MAIN, Classifier
from transfer_core.models.onnx_stages import graph_folder
from transfer_core.models.prefix import Engine, Prefix, choose_engine
from transfer_core.models.statistics import digest_statistics, has_batch_norm
from transfer_core.models.weights import find_weights, weights_fingerprint
from transfer_core.strategies import Strategy, Task
from transfer_core.training.labels import choose_auxiliary, class_weights, label_confidence, pick, set_aside
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
    order: int  # seed of the order of training images; which images those are, the spec's seed decides
    engine: Engine  # of the frozen stages
    precision: str  # of the stages that train, "fp32" or "mixed"
    frozen: FrozenPass = field(default_factory=FrozenPass)  # shared by all who train and test in this run

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

    def confidence(self, images: list[str]) -> torch.Tensor:
        """Return how likely each image's label [n] is right; 1 where nothing is said of it."""
        name = self.spec.label_confidence
        told = label_confidence(self.manifest, name) if name else {}
        return torch.tensor([told.get(image, 1.0) for image in images], device=self.device)

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
        stored = self.stored_stage(cut)
        cache = self.cache if self.caches(cut) else None
        if not self.measures_domains:
            return self._activations(cut, stored, cache)
        with self.looking_at_source():
            source = self._activations(cut, stored, cache)
        return self._activations(cut, stored, cache, dict.fromkeys(self.source, source))

    def caches(self, cut: int) -> bool:
        """Tell whether anything is kept of what lies before a cut."""
        return self.cache is not None and (self._pixels_fit() or self.stored_stage(cut) > 0)

    @cached_property
    def measures_domains(self) -> bool:
        """Whether the frozen stages have batch-norm statistics of either domain."""
        return self.strategy.measures_domains(self.task) and has_batch_norm(
            self.model.stages[: self.spec.cut]
        )

    @contextmanager
    def looking_at_source(self) -> Iterator[None]:
        """Let the model see images of the source for a while."""
        with ExitStack() as stack:
            for member in self.model.members:
                stack.enter_context(self.strategy.looking_at_source(member, self.task))
            yield

    @cached_property
    def source(self) -> list[str]:
        """The images of the source domain, in a canonical order; all where there is no target."""
        rows = self.manifest.rows
        return [row.image for row in rows if not self.has_target or row.domain != self.spec.target]

    def network_inputs(self, images: list[str], batch: int) -> Iterator[Tensor]:
        """Yield images' unchanged views [batch, 3, s, s], normalised; of a last, smaller batch only if it is the first."""
        whole = len(images) // batch * batch or len(images)
        plan = [
            (images[at : at + batch], [0] * len(images[at : at + batch])) for at in range(0, whole, batch)
        ]
        with self._activations(0, 0, None) as activations:
            yield from activations.batches(plan)

    def _activations(
        self,
        cut: int,
        stored: int,
        cache: ActivationCache | None,
        others: Mapping[str, Activations] | None = None,
    ) -> Activations:
        return Activations(
            self.library,
            self.manifest.reading,
            self.backbone,
            Prefix(self.model.stages, cut, stored, self.backbone, self.device, self.graphs),
            weights=self.weights
            + (digest_statistics(self.model.stages[:cut]) if self.measures_domains else ""),
            geometry=self.spec.geometry,
            augment=self.spec.augment,
            seed=self.spec.seed,
            partners=self._partners,
            cache=cache,
            others=others,
        )

    @property
    def _partners(self) -> list[list[str]]:
        """The images that may be mixed with each other; one whose label may be used is of the training images."""
        mixes = get_augmentation(self.spec.augment).mixes
        return [self.images("unlabelled"), self.images("train")] if mixes else []

    @property
    def graphs(self) -> Path | None:
        """The folder of the graphs that ONNX Runtime computes frozen stages from; None where torch does."""
        return graph_folder(self.library.home) if self.engine == "onnx" else None

    def _pixels_fit(self) -> bool:
        """Tell whether decoded pixels, the least that can be kept, stay within the budget."""
        return self._rows * 3 * self.backbone.size**2 <= self.budget

    @property
    def _rows(self) -> int:
        return len(self.manifest.rows) * max(self.spec.seen_views, self.spec.views)

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
    engine: Engine | None = None,
) -> Setup:
    """Put a run's parts together; `stages` stand in for the pretrained (tests), `engine`: of a run that began with it."""
    manifest = library.get(spec.manifest)
    backbone = spec.make_backbone()
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
        order=spec.seed,
        engine=engine or choose_engine(backbone, device),
        precision=choose_precision(spec.precision, device),
    )
    check_needs(setup)
    setup.strategy.prepare(model, setup.task)
    if spec.networks > 1:
        setup.model = Ensemble(model, spec.networks, spec.cut)
    return setup


def check_needs(setup: Setup) -> None:
    """Raise UserError where a strategy needs what the data set or the split does not have."""
    missing = unmet_need(setup.strategy, setup.manifest, setup.split, setup.backbone, setup.spec.cut)
    if missing:
        raise UserError(missing, "unmet-need")
