"""What tests share besides fixtures: a small drawn data set, and a backbone small enough to train in no time."""

from __future__ import annotations

import io
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sample_data.shapes import Drawing, draw_shapes
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split, make_split
from transfer_core.models.backbones import Backbone, Stage, WeightsFile
from transfer_core.models.cache import ActivationCache
from transfer_core.training.checkpoint import load_best, load_checkpoint
from transfer_core.training.course import FROZEN, TESTING
from transfer_core.training.estimate import make_course
from transfer_core.training.events import Ended, EpochEnded, Event, Progressed, Stepped
from transfer_core.training.networks import make_loop
from transfer_core.training.rules import make_spec
from transfer_core.training.setup import Setup, make_setup
from transfer_core.training.spec import RunSpec

SMALL: dict[str, dict[str, Any]] = {  # knobs that keep a test short
    "probe_then_tune": {"probe": 3},
    "autoencoder": {"pretraining": 2},
    "prototypical": {"episodes": 4},
    "meta_transfer": {"way": 2, "shot": 2, "queries": 3, "episodes": 4, "inner_steps": 5, "fitting": 6},
    "mcd": {"times": 2},
}
CLASSES = ("disc-solid", "cross-outline", "star-dotted")
MANY = (*CLASSES, "disc-outline", "cross-solid", "star-solid", "triangle-solid")

TINY = Backbone(
    key="tiny",
    title="Tiny",
    family="tiny",
    about="Four stages for tests.",
    weights=WeightsFile("package", "tiny", "tiny.safetensors", "", "", 0.0),
    licence="none",
    top1=0.0,
    size=32,
    mean=(0.5, 0.4, 0.3),
    std=(0.2, 0.25, 0.3),
    interpolation="bilinear",
    crop=1.0,
    feature_dim=16,
    # Costs are made up: high enough that keeping activations pays after every stage.
    stages=(
        Stage("stem", 232, (8, 16, 16), 0.01, True, True),
        Stage("block1", 1184, (8, 16, 16), 0.01, True, True),
        Stage("block2", 1184, (16, 8, 8), 0.01, True, True),
        Stage("top", 288, (16,), 0.01, True, True),
    ),
)


class Residual(nn.Module):
    """A convolution and its batch-norm beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.norm2(self.second(torch.relu(self.norm1(self.first(x))))))


class Scale(nn.Module):
    """Multiplies features, which no sensible head should mind."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


def make_tiny(seed: int = 0, scale: float = 1.0) -> nn.Sequential:
    """The tiny backbone's stages; batch-norm statistics are as if it had been trained."""

    def block(inputs: int, outputs: int, size: int, stride: int) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
        return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]

    torch.manual_seed(seed)
    stages = OrderedDict(
        stem=nn.Sequential(*block(3, 8, 3, 2)),
        block1=Residual(8),
        block2=nn.Sequential(*block(8, 16, 3, 2)),
        top=nn.Sequential(*block(16, 16, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), Scale(scale)),
    )
    for module in nn.Sequential(stages).modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.2, 0.8)
            nn.init.uniform_(module.weight, 0.8, 1.2)
            nn.init.normal_(module.bias, std=0.2)
    return nn.Sequential(stages)


def candidates(drawings: list[Drawing]) -> list[Candidate]:
    """Drawings as files that are brought in."""

    def png(drawing: Drawing) -> Callable[[], bytes]:
        out = io.BytesIO()
        drawing.image.save(out, "PNG")
        return out.getvalue

    return [
        Candidate(f"{each.name}.png", png(each), each.label, each.domain, each.group) for each in drawings
    ]


@dataclass
class Outcome:
    """What a training left behind. `log` is what was told of epochs, without times."""

    ended: Ended
    events: list[Event]
    setup: Setup
    folder: Path

    @property
    def log(self) -> list[EpochEnded]:
        return without_times(self.events)

    @property
    def best(self) -> dict[str, Tensor]:
        return load_best(self.folder, self.ended.best)

    @property
    def last(self) -> dict[str, Tensor]:
        """The weights of the last epoch."""
        checkpoint = load_checkpoint(self.folder)
        assert checkpoint is not None
        return checkpoint.model


def goes_forward(setup: Setup, events: list[Event]) -> None:
    """Every training keeps the laws of one bar: it never goes back, nothing is left that is less than none, it ends full."""
    course, share, far = make_course(setup), 0.0, 0
    for event in [*events, Progressed(TESTING, 1, 1)]:
        told = course.mark(event)
        if isinstance(told, (Progressed, Stepped)):
            assert told.share is not None
            assert share <= told.share <= 1.0, event
            assert told.left is None or told.left >= 0
            share = told.share
        if isinstance(event, Progressed) and event.doing == FROZEN:
            assert far <= event.done <= event.total, "one count over the whole pass"
            far = event.done
    assert share == 1.0


def without_times(events: list[Event]) -> list[EpochEnded]:
    """What was told of each epoch, with the seconds, which differ each time, left out."""
    return [replace(each, seconds=0.0) for each in events if isinstance(each, EpochEnded)]


@dataclass
class Lab:
    """A data set in a library, and trainings of the tiny backbone on it."""

    home: Path
    manifest: Manifest
    split: Split

    @property
    def library(self) -> Library:
        return Library(self.home)

    def spec(self, strategy: str = "fine_tuning", **wishes: Any) -> RunSpec:
        """A spec of a few short epochs that ends after the last."""
        usual = {"backbone": "tiny", "device": "cpu", "epochs": 3, "patience": 0, "batch_size": 8, "lr": 0.01}
        knobs = SMALL.get(strategy, {}) | wishes.pop("knobs", {})
        return make_spec(self.manifest, self.split, usual | {"strategy": strategy, "knobs": knobs} | wishes)

    def setup(self, spec: RunSpec, *, scale: float = 1.0, budget: int | None = None) -> Setup:
        """A run's parts, made anew; `budget` limits what may be stored."""
        cache = ActivationCache(self.home / f"cache-{scale:g}", budget)
        return make_setup(spec, self.library, cache, stages=make_tiny(scale=scale))

    def train(
        self,
        spec: RunSpec,
        *,
        setup: Setup | None = None,
        folder: Path | None = None,
        emit: Callable[[Event], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        """Train in a folder of its own, or go on in the one given."""
        folder = folder or self.home / "trainings" / uuid.uuid4().hex
        events: list[Event] = []

        def tell(event: Event) -> None:
            events.append(event)
            emit(event)

        setup = setup or self.setup(spec)
        ended = make_loop(setup, folder, tell, should_stop).run()
        goes_forward(setup, events)
        return Outcome(ended, events, setup, folder)

    def relabelled(self, labels: dict[str, str | None], classes: tuple[str, ...] = ()) -> Lab:
        """The same images and the same split, with other labels for some images, and other classes where named."""
        rows = tuple(replace(row, label=labels.get(row.image, row.label)) for row in self.manifest.rows)
        manifest = replace(self.manifest, rows=rows, classes=classes or self.manifest.classes)
        manifest = self.library.add(manifest)
        split = self.library.add_split(replace(self.split, manifest=manifest.id))
        return Lab(self.home, manifest, split)

    def across_domains(self) -> Lab:
        """The same images, split from the clean drawings to the photographed ones."""
        source, target = self.manifest.domains
        split = make_split(
            self.manifest, "transfer", fractions=(0.5, 0.25, 0.25), train_domain=source, test_domain=target
        )
        return Lab(self.home, self.manifest, self.library.add_split(split))

    def with_further_label(self, name: str = "colour", told: dict[str, str] | None = None) -> Lab:
        """The same images and split, each image with a further label, told by its number where it is not given."""

        def tell(image: str) -> str:
            return told.get(image, "") if told is not None else ("red", "blue")[int(image[:4], 16) % 2]

        rows = tuple(replace(row, extra={**row.extra, name: tell(row.image)}) for row in self.manifest.rows)
        manifest = self.library.add(replace(self.manifest, rows=rows))
        return Lab(self.home, manifest, self.library.add_split(replace(self.split, manifest=manifest.id)))

    def with_many_classes(self) -> Lab:
        """Other drawings: seven classes of twelve, and a few without a label."""
        drawings = candidates(draw_shapes(88, seed=5, size=32, classes=MANY))
        mixed = drawings[:84] + [replace(each, label=None) for each in drawings[84:]]
        manifest, _ = ingest(mixed, "Many", self.library)
        split = make_split(manifest, fractions=(0.5, 0.25, 0.25))
        return Lab(self.home, manifest, self.library.add_split(split))

    def permuted(self, part: str) -> Lab:
        """The same, but the labels of a part go round among the classes."""
        names = self.manifest.classes
        after = dict(zip(names, (*names[1:], names[0]), strict=True))
        rows = self.manifest.by_image
        known = [image for image in self.split.part(part) if rows[image].label]
        return self.relabelled({image: after[rows[image].label or ""] for image in known})


def same_tensors(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Whether two states are equal bit for bit."""
    return a.keys() == b.keys() and all(
        a[key].cpu().contiguous().numpy().tobytes() == b[key].cpu().contiguous().numpy().tobytes()
        for key in a
    )
