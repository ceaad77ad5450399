"""A run's specification: everything needed to repeat it. Its hash is the experiment's identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from transfer_core.data.augment import get_augmentation
from transfer_core.data.images import GEOMETRIES
from transfer_core.errors import UserError
from transfer_core.knobs import Value, get_knobs, knob, make_from_knobs
from transfer_core.models.backbones import Backbone, get_backbone
from transfer_core.models.device import PRECISIONS
from transfer_core.strategies import Strategy, Task, get_strategy

RULES = {  # by which the epoch is chosen -> in words
    "validation_loss": "lowest validation loss",
    "combined": "doing well on the source's validation images and calling the classes about as often on the target as in the source (balanced accuracy plus agreement of the shares, up to 90 %)",
    "together": "the mean of balanced accuracy on the source's validation images, information maximisation and neighbourhood density",
    "information_maximisation": "information maximisation on the target",
    "soft_neighbourhood_density": "soft neighbourhood density on the target",
    "class_share_agreement": "agreement of the class shares on the target",
}


@dataclass(frozen=True)
class RunSpec:
    """What to train on what, how. Build it with `make_spec`, which fills in and checks."""

    manifest: str
    split: str
    backbone: str = "lite0"
    strategy: str = "feature_extraction"
    knobs: Mapping[str, Value] = field(default_factory=dict)
    cut: int = knob(0, "Frozen stages", "The stages before this one stay as they are.", low=0, high=64)
    epochs: int = knob(10, "Epochs", "How often each image is seen.", low=1, high=10_000)
    batch_size: int = knob(32, "Batch size", "Images per training step.", unit="images", low=2, high=4096)
    lr: float = knob(5e-4, "Learning rate", "How far one step goes.", low=1e-8, high=10)
    augment: str = "none"
    views: int = knob(1, "Stored views", "Views of each image kept in the cache; 0: fresh ones each epoch.",
                      low=0, high=64)  # fmt: skip
    test_views: bool = knob(
        False,
        "Average over views",
        "What is said of an image is the mean over all its mirrored and turned views: steadier, and as many times slower. For augmentations that only mirror or turn.",
    )
    size: int = knob(0, "Image size", "Side at which images enter the network, a multiple of 32; 0: the backbone's own. Larger shows finer detail and costs time by its square.",
                     unit="pixels", low=0, high=1024)  # fmt: skip
    geometry: str = knob("whole", "Geometry", "How an image becomes a square.", choices=tuple(GEOMETRIES))
    class_weights: str = knob("none", "Class weights", "balanced: rare classes count more in the loss.",
                              choices=("none", "balanced"))  # fmt: skip
    label_confidence: str = knob(
        "",
        "Confidence in the labels",
        "A further label with a number from 0 to 1: how likely the label of an image is right. The rest is learnt for the other classes. Without one, all labels are taken as certain.",
    )
    mixing: float = knob(
        0.0,
        "Mixing at the freeze point",
        "In every batch the activations of two training images are blended, and their labels with them (manifold mixup). The number is alpha of the Beta distribution of the shares; 0: no mixing.",
        low=0,
        high=10,
    )
    networks: int = knob(
        1,
        "Networks",
        "So many are trained one after the other, each with the images in another order, and the mean of their probabilities counts (an ensemble): steadier than one alone, sometimes a little more accurate, and that many times slower.",
        low=1,
        high=10,
    )
    patience: int = knob(0, "Patience", "Stop after this many epochs without improvement; 0: never.",
                         unit="epochs", low=0, high=10_000)  # fmt: skip
    select: str = knob("validation_loss", "Chosen by", "What decides which epoch is kept; labels of the target only where its classes are others than the source's.",
                       choices=tuple(RULES))  # fmt: skip
    precision: str = knob(
        "auto",
        "Precision",
        "mixed computes the stages that train in bfloat16: faster on a GPU and on some processors. auto finds out which is faster here; the report names it.",
        choices=PRECISIONS,
    )
    cache: bool = True
    device: str = "cpu"
    seed: int = knob(0, "Seed", "Another number gives another, equally good, run.", low=0, high=2**31 - 1)
    source: str | None = None
    target: str | None = None

    @cached_property
    def id(self) -> str:
        """Sixteen hex digits of the content."""
        content = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Return plain data; `from_json` is its inverse. What came later is left out where it is unused: ids stay what they were."""
        values = asdict(self)
        for name, unused in (("label_confidence", ""), ("mixing", 0.0), ("networks", 1)):
            if values[name] == unused:
                del values[name]
        return values

    def settings(self) -> dict[str, Any]:
        """Return what tells this run from others on the same split, by the names on the screen; not the seed."""
        labels = {each.name: each.label.lower() for each in get_knobs(type(self))}
        hidden = ("knobs", "manifest", "split", "seed")
        plain = {labels.get(name, name): value for name, value in asdict(self).items() if name not in hidden}
        strategy = self.make_strategy()
        return plain | {
            each.label.lower(): getattr(strategy, each.name) for each in get_knobs(type(strategy))
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunSpec:
        """Return the spec that `to_json` described."""
        return cls(**data)

    @property
    def seen_views(self) -> int:
        """How many views of an image are averaged where it is tested or predicted."""
        return (get_augmentation(self.augment).most or 1) if self.test_views else 1

    @cached_property
    def total_epochs(self) -> int:
        """How many epochs the run has where nothing ends it early: of all phases and networks, and the look at all of them."""
        stages = self.make_backbone().stages
        task = Task(
            classes=("a", "b"), class_weights=(1.0, 1.0), class_shares=(0.5, 0.5), n_train=2, stages=len(stages),
            feature_dim=1, shape=(1,), cut=self.cut, epochs=self.epochs, lr=self.lr, seed=self.seed,
            has_target=self.target is not None,
        )  # fmt: skip
        each = sum(phase.epochs for phase in self.make_strategy().phases(task))
        return each if self.networks == 1 else self.networks * each + 1

    def make_backbone(self) -> Backbone:
        """Return the backbone at this spec's image size."""
        backbone = get_backbone(self.backbone)
        return backbone.at_size(self.size or backbone.size)

    @property
    def outdated(self) -> list[str]:
        """The knobs of an earlier version that are no more: such a run can be read, and no longer be trained."""
        known = {each.name for each in get_knobs(get_strategy(self.strategy))}
        return sorted(set(self.knobs) - known)

    def make_strategy(self) -> Strategy:
        """Return the strategy with this spec's knobs, without those that are `outdated`."""
        knobs = {name: value for name, value in self.knobs.items() if name not in self.outdated}
        return make_from_knobs(get_strategy(self.strategy), knobs)


def check_spec(spec: RunSpec) -> RunSpec:
    """Return the spec with each value in its own type and every knob named; UserError for an impossible one.

    The same experiment then has the same id, however its values were written, and a knob's default
    may change later without changing what an older spec means.
    """
    values: dict[str, Any] = {each.name: each.parse(getattr(spec, each.name)) for each in get_knobs(RunSpec)}
    strategy = make_from_knobs(get_strategy(spec.strategy), spec.knobs)
    values["knobs"] = {each.name: getattr(strategy, each.name) for each in get_knobs(type(strategy))}
    spec = replace(spec, **values)
    backbone = spec.make_backbone()
    if spec.size == get_backbone(spec.backbone).size:
        spec = replace(spec, size=0)
    get_augmentation(spec.augment)
    _check_cut(spec, strategy, len(backbone.stages))
    _check_views(spec, strategy)
    if spec.label_confidence and not strategy.heeds_confidence:
        raise UserError(
            f"{strategy.title} cannot learn from doubtful labels: leave the confidence in the labels out."
        )
    if spec.mixing and not strategy.mixes_at_cut:
        raise UserError(f"{strategy.title} cannot learn from mixed activations: leave mixing out.")
    if spec.networks > 1 and strategy.freezes == "all":
        raise UserError(
            f"{strategy.title} finds the same solution in whatever order the images come: leave networks at 1."
        )
    return spec


def _check_views(spec: RunSpec, strategy: Strategy) -> None:
    policy = get_augmentation(spec.augment)
    if policy.mixes and not strategy.mixes:
        raise UserError(
            f"{strategy.title} cannot learn from mixed images: choose another augmentation than {policy.title}."
        )
    if spec.test_views and not policy.is_symmetry:
        raise UserError(
            f"Averaging over views (test_views) needs an augmentation that only mirrors or turns, not {policy.title}."
        )
    if spec.views == 0 and (policy.mixes or strategy.freezes == "all"):
        raise UserError(f"{strategy.title} needs stored views: choose 1 or more.")
    if 0 < spec.views < strategy.least_views:
        raise UserError(
            f"{strategy.title} compares views of the same image: choose an augmentation, with {strategy.least_views} stored "
            "views or more."
        )


def _check_cut(spec: RunSpec, strategy: Strategy, stages: int) -> None:
    if spec.cut > stages:
        title = get_backbone(spec.backbone).title
        raise UserError(f"{title} has {stages} stages: the number of frozen ones must be from 0 to {stages}.")
    if strategy.freezes == "all" and spec.cut != stages:
        raise UserError(f"{strategy.title} freezes all {stages} stages: leave the cut out.")
    if strategy.trains_stages and spec.cut == stages:
        raise UserError(f"{strategy.title} changes stages, and all {stages} are frozen: freeze fewer.")
    if strategy.freezes == "nothing" and spec.cut != 0:
        raise UserError(f"{strategy.title} freezes no stage: leave the cut out.")
