"""What ordinary fine-tuning makes of the few-shot problems of `few_shot.py`: the comparison that meta-transfer has to stand.

    uv run python benchmarks/few_shot_tuned.py

On the drawn set: the 12 base classes are fine-tuned on (the same stages as meta-transfer scales, ten epochs), then a linear
probe on the features so learnt is measured on the 8 others, 100 draws. And all 20 classes fine-tuned on at once, 8 of them with
few images, as a user would: each draw is a whole run, so there are ten.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Row, Rows, finish

sys.path.insert(0, str(Path(__file__).parents[1]))

from few_shot import SHOTS, drawn, episode, features, measured, probe

from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split, make_split
from transfer_core.models.cache import ActivationCache
from transfer_core.strategies.meta_transfer import MetaTransfer
from transfer_core.training.checkpoint import load_best
from transfer_core.training.loop import Loop
from transfer_core.training.rules import make_spec
from transfer_core.training.setup import Setup, make_setup

WHOLE_RUNS = 10
RECIPE: dict[str, Any] = {
    "strategy": "fine_tuning", "cut": 6, "epochs": 10, "lr": 1e-3, "patience": 0, "device": "cpu",
}  # fmt: skip


class Problem:
    """The drawn set, its base classes and the new ones, as in `few_shot.py`."""

    def __init__(self, home: Path) -> None:
        self.library = Library(home)
        self.cache = ActivationCache(home / "cache", budget=20_000_000_000)
        self.manifest, self.split = drawn(self.library)
        setup = self.setup(self.manifest, self.split)
        base = MetaTransfer().base_classes(setup.task)
        self.base = [self.manifest.classes[number] for number in base]
        self.new = [number for number in range(len(self.manifest.classes)) if number not in base]

    def setup(self, manifest: Manifest, split: Split) -> Setup:
        """Return the parts of a run of the recipe."""
        return make_setup(make_spec(manifest, split, RECIPE), self.library, self.cache)

    def tuned(self, manifest: Manifest, split: Split) -> Setup:
        """Return a run that has come to its end, with its best epoch."""
        setup = self.setup(manifest, split)
        with tempfile.TemporaryDirectory() as folder:
            ended = Loop(setup, Path(folder), lambda _: None, lambda: False).run()
            setup.model.load_trained(load_best(Path(folder), ended.best))
        return setup

    def tuned_on_base(self) -> Setup:
        """Return the whole set's parts with stages that were tuned on the base classes alone."""
        rows = tuple(row for row in self.manifest.rows if row.label in self.base)
        own = replace(self.manifest, name="Drawn, base classes", classes=tuple(self.base), rows=rows)
        own = self.library.add(own)
        stages = self.tuned(own, self.library.add_split(make_split(own))).model.stages
        setup = self.setup(self.manifest, self.split)
        setup.model.stages.load_state_dict(stages.state_dict())
        return setup

    def with_few(self, shots: int, rng: np.random.Generator) -> Split:
        """Return the split with so many training images of each new class; the rest of them are left out."""
        left: set[str] = set()
        for number in self.new:
            name = self.manifest.classes[number]
            own = [image for image in self.split.part("train") if self.manifest.by_image[image].label == name]
            left |= {own[index] for index in rng.permutation(len(own))[shots:]}
        kept = {image: part for image, part in self.split.assignment.items() if image not in left}
        counts = {part: dict(each) for part, each in self.split.receipt.counts.items()}
        counts["train"] |= {self.manifest.classes[number]: shots for number in self.new}
        receipt = replace(self.split.receipt, counts=counts)
        return self.library.add_split(replace(self.split, assignment=kept, receipt=receipt))

    def found(self, said: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> float:
        """Return how many test images of the new classes are found, the mean over these classes."""
        return float(np.mean([np.mean(said[truth == each] == each) for each in self.new]))


def rows_of_base(problem: Problem, done: Rows) -> list[Row]:
    """Return the probe on features tuned on the base classes, in both measures of `few_shot.py`."""
    setup = problem.tuned_on_base()
    manifest, new = problem.manifest, problem.new
    images = [row.image for row in manifest.rows if row.label not in problem.base]
    x, y = features(setup, images), setup.targets(images).numpy()
    learnt, tested = problem.split.part("train"), problem.split.part("test")
    seen, labels = features(setup, learnt), setup.targets(learnt).numpy()
    unseen, truth = features(setup, tested), setup.targets(tested).numpy()

    def alone(shots: int, rng: np.random.Generator) -> float:
        return episode(x, y, new, shots, probe, rng)

    def together(shots: int, rng: np.random.Generator) -> float:
        few = [rng.permutation(np.flatnonzero(labels == each))[:shots] for each in new]
        rows = np.concatenate([np.flatnonzero(~np.isin(labels, new)), *few])
        said = probe(seen[rows], torch.from_numpy(labels[rows]), unseen, len(manifest.classes)).numpy()
        return problem.found(said, truth)

    method = "tuned on the 12, then a probe"
    return [
        measured(done, data, way, shots, method, setup.spec, partial(draw, shots))
        for data, way, draw in (
            ("drawn, 8 new classes", 5, alone),
            ("drawn, 8 of 20 classes with few images", 20, together),
        )
        for shots in SHOTS
    ]


def rows_of_whole_runs(problem: Problem, done: Rows, shots: int) -> Row:
    """Return fine-tuning on all classes at once, each draw a run."""

    def draw(rng: np.random.Generator) -> float:
        setup = problem.tuned(problem.manifest, problem.with_few(shots, rng))
        tested = problem.split.part("test")
        with torch.no_grad():
            said = setup.model.heads["main"](features(setup, tested)).argmax(1).numpy()
        return problem.found(said, setup.targets(tested).numpy())

    spec, method = make_spec(problem.manifest, problem.split, RECIPE), "fine-tuning on all"
    return measured(
        done, "drawn, 8 of 20 classes with few images", 20, shots, method, spec, draw, draws=WHOLE_RUNS
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "transfer-lab-benchmark")
    problem, done = Problem(parser.parse_args().home), Rows("few_shot")
    rows = [*rows_of_base(problem, done), *(rows_of_whole_runs(problem, done, shots) for shots in SHOTS[:2])]
    finish("few_shot_tuned", rows, [])


if __name__ == "__main__":
    main()
