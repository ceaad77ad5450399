"""Against the loop that every tutorial shows: same images, backbone, epochs and batch size, side by side.

    uv run python benchmarks/speed.py [--only feature_extraction|prototypes|partial|full]

The tutorial loop: ImageFolder, DataLoader with 2 workers, the whole backbone run in every epoch, as
PyTorch loads it; for prototypes it sums their features by class instead of training. Ours: the strategy as `transfer-lab train` runs it, its cache deleted before. Both
are timed in a started interpreter with the weights loaded, from the first image read to the last
validation metric; ingest is timed apart and counted in the second ratio.
"""

from __future__ import annotations

import argparse
import copy
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from common import Check, finish
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

sys.path.insert(0, str(Path(__file__).parents[1]))

from transfer_core.data.ingest import ingest
from transfer_core.data.library import Library
from transfer_core.data.samples import add_solar_cells
from transfer_core.data.sources import open_source
from transfer_core.data.split import make_split
from transfer_core.models.backbones import get_backbone
from transfer_core.models.cache import ActivationCache
from transfer_core.models.loading import load_backbone
from transfer_core.training.events import EpochEnded, Event
from transfer_core.training.loop import Loop
from transfer_core.training.rules import make_spec
from transfer_core.training.setup import make_setup

BACKBONE = get_backbone("lite0")
BATCH = 32
RECIPES = {  # name -> (strategy, cut, epochs, learning rate of the stages, ratio to reach)
    "feature_extraction": ("feature_extraction", 9, 10, 1e-3, 20.0),
    "prototypes": ("prototypical", 9, 10, 1e-3, 10.0),
    "partial": ("fine_tuning", 6, 5, 5e-4, 4.0),
    "full": ("fine_tuning", 0, 3, 5e-4, 1.5),
}


def draw_images(folder: Path) -> None:
    """Write 400 training and 100 validation solar cells as class folders, the same for both sides."""
    library = Library(folder / "all")
    manifest, _ = add_solar_cells(library)
    split = make_split(manifest, "image", fractions=(400 / 2624, 100 / 2624, 2124 / 2624), seed=0)
    for part, n in (("train", 400), ("val", 100), ("test", 20)):
        for image in split.part(part)[:n]:
            row = manifest.by_image[image]
            target = folder / "images" / part / str(row.label)
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(library.image_path(image), target / row.path)


def loaders(folder: Path) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Return the training and validation images as every tutorial reads them."""
    shape = transforms.Compose([
        transforms.Resize((224, 224), interpolation=transforms.InterpolationMode.BICUBIC),
        transforms.ToTensor(),
        transforms.Normalize(BACKBONE.mean, BACKBONE.std),
    ])  # fmt: skip
    train = DataLoader(ImageFolder(str(folder / "train"), shape), BATCH, shuffle=True, num_workers=2)
    return train, DataLoader(ImageFolder(str(folder / "val"), shape), BATCH, num_workers=2)


@torch.no_grad()
def tutorial_prototypes(folder: Path, stages: nn.Sequential, epochs: int) -> tuple[float, float]:
    """Return (seconds, validation accuracy) of class means taken anew in every epoch, centred and scaled as ours."""
    started = time.perf_counter()
    train, val = loaders(folder)
    stages.eval()
    accuracy = 0.0
    for _ in range(epochs):
        seen = [(stages(x), y) for x, y in train]
        x, y = (torch.cat(each) for each in zip(*seen, strict=True))
        centre = x.mean(0)
        means = torch.stack([nn.functional.normalize(x - centre)[y == each].mean(0) for each in (0, 1)])
        hits = [
            (torch.cdist(nn.functional.normalize(stages(x) - centre), means).argmin(1) == y).float()
            for x, y in val
        ]
        accuracy = torch.cat(hits).mean().item()
    return time.perf_counter() - started, accuracy


def tutorial(folder: Path, stages: nn.Sequential, cut: int, epochs: int, lr: float) -> tuple[float, float]:
    """Return (seconds, validation accuracy) of the plain loop."""
    head = nn.Linear(BACKBONE.feature_dim, 2)
    model = nn.Sequential(stages, head)
    for index, stage in enumerate(stages):
        stage.requires_grad_(index >= cut)
    groups = [{"params": head.parameters(), "lr": lr if cut == len(stages) else 10 * lr}]
    if cut < len(stages):
        groups.append({"params": [p for p in stages.parameters() if p.requires_grad], "lr": lr})
    started = time.perf_counter()
    train, val = loaders(folder)
    optimiser = torch.optim.AdamW(groups)
    accuracy = 0.0
    for _ in range(epochs):
        model.train()
        for x, y in train:
            optimiser.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(model(x), y))
            optimiser.step()
        model.eval()
        with torch.no_grad():
            hits = [(model(x).argmax(1) == y).float() for x, y in val]
        accuracy = torch.cat(hits).mean().item()
    return time.perf_counter() - started, accuracy


def ours(
    library: Library, dataset: str, stages: nn.Sequential, strategy: str, cut: int, epochs: int, lr: float
) -> tuple[float, float]:
    """Return (seconds, validation accuracy of the chosen epoch), the cache filled within the time."""
    manifest = library.get(dataset)
    split = library.add_split(make_split(manifest, "given"))
    wishes = {
        "strategy": strategy,
        "epochs": epochs,
        "batch_size": BATCH,
        "lr": lr,
        "patience": 0,
        "device": "cpu",
    }
    if strategy != "feature_extraction":
        wishes["cut"] = cut
    shutil.rmtree(library.home / "cache", ignore_errors=True)
    spec = make_spec(manifest, split, wishes)
    setup = make_setup(spec, library, ActivationCache(library.home / "cache"), stages=stages)
    best = 0.0

    def emit(event: Event) -> None:
        nonlocal best
        if isinstance(event, EpochEnded) and event.best:
            best = event.val["accuracy"]

    with tempfile.TemporaryDirectory() as run:
        started = time.perf_counter()
        Loop(setup, Path(run), emit, lambda: False).run()
        return time.perf_counter() - started, best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", choices=list(RECIPES))
    only = parser.parse_args().only
    rows, checks = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_images(folder)
        started = time.perf_counter()
        library = Library(folder / "home")
        candidates, problems = open_source(folder / "images")
        dataset = ingest(candidates, "500 cells", library, problems=problems)[0].id
        ingest_seconds = time.perf_counter() - started
        fresh: Callable[[], nn.Sequential] = lambda: load_backbone(BACKBONE, home=library.home)  # noqa: E731
        warm = copy.deepcopy(fresh())
        warm(torch.zeros(2, 3, 224, 224))  # the first pass of a process sets up its kernels
        for recipe, (strategy, cut, epochs, lr, wanted) in RECIPES.items():
            if only not in (None, recipe):
                continue
            if recipe == "prototypes":
                plain_seconds, plain_accuracy = tutorial_prototypes(folder / "images", fresh(), epochs)
            else:
                plain_seconds, plain_accuracy = tutorial(folder / "images", fresh(), cut, epochs, lr)
            our_seconds, our_accuracy = ours(library, dataset, fresh(), strategy, cut, epochs, lr)
            rows.append({
                "recipe": recipe, "epochs": epochs, "tutorial s": plain_seconds, "ours s": our_seconds,
                "ratio": plain_seconds / our_seconds,
                "ratio with ingest": plain_seconds / (our_seconds + ingest_seconds),
                "tutorial accuracy": plain_accuracy, "our accuracy": our_accuracy,
            })  # fmt: skip
            print(rows[-1], flush=True)
            checks.append(Check(f"{recipe}: times faster", plain_seconds / our_seconds, wanted))
            # 100 validation images: two standard errors of a difference are about 0.11
            checks.append(Check(f"{recipe}: accuracy difference", our_accuracy - plain_accuracy, -0.11))
    finish(f"speed-{only}" if only else "speed", rows, checks)


if __name__ == "__main__":
    main()
