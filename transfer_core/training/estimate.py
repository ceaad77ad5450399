"""How long a run will take, learnt from the runs this machine has done.

`timings.json` in the home folder keeps, per device and backbone, the seconds per billion multiply-adds
of the frozen part and of the part that trains. Before the first run there is none; `forecast.py` says a range.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from transfer_core.errors import UserError
from transfer_core.files import read_kept, write_json
from transfer_core.models.backbones import Backbone
from transfer_core.strategies import get_strategy
from transfer_core.training.course import Course
from transfer_core.training.spec import RunSpec

if TYPE_CHECKING:
    from transfer_core.training.setup import Setup

TRAIN = 3.0  # a training step costs about three forward passes: one forward, two backward
OVERHEAD = 12.0  # seconds to load the software and the backbone, and to test
SLOW = 0.05  # seconds per billion multiply-adds where nothing is known: a slow CPU
NAME = "timings.json"
Timings = dict[str, dict[str, float]]
HEAD_GFLOPS = 0.002  # what an image costs where only the head trains
LEAST_GFLOPS = 1.0  # per image of the part that trains; below it all is memory, and bfloat16 gains nothing


@dataclass(frozen=True)
class Plan:
    """What a run is about to cost. `seconds` is None before this machine has done a run."""

    rows: int  # images times views whose activations are stored
    bytes: int
    trained: int  # parameters, as `count_parameters`
    total: int
    seconds: float | None


def make_plan(home: Path, spec: RunSpec, images: int, n_train: int, classes: int, stored: int) -> Plan:
    """Return the cost of a spec on a data set; `stored` as `choose_stored` says."""
    backbone = spec.make_backbone()
    rows = count_rows(spec, images, n_train)
    trained_, total = count_parameters(spec, classes)
    shape = backbone.stages[stored - 1].shape if stored else (3, backbone.size, backbone.size)
    bytes_each = int(np.prod(shape)) * (1 if not stored else 4 if len(shape) == 1 else 2)
    speeds = read_timings(home).get(f"{spec.device}/{spec.backbone}", {})
    seconds = None
    frozen, trained = _work(backbone, spec, rows, n_train, stored)
    if ("frozen" in speeds or not frozen) and ("trained" in speeds or spec.cut == len(backbone.stages)):
        seconds = OVERHEAD + frozen * speeds.get("frozen", 0.0) + trained * speeds.get("trained", 0.0)
    return Plan(
        rows=rows,
        bytes=rows * bytes_each if spec.cache else 0,
        trained=trained_,
        total=total,
        seconds=seconds,
    )


def count_rows(spec: RunSpec, images: int, n_train: int) -> int:
    """Return of how many views activations are stored: all that are tested, and what training wants beyond these."""
    return images * spec.seen_views + n_train * max(0, spec.views - spec.seen_views)


def leaves_precision_open(spec: RunSpec) -> bool:
    """Tell whether a run finds out by itself if bfloat16 is faster: nobody chose, on a CPU, and enough trains to gain anything."""
    trained = sum(stage.gflops for stage in spec.make_backbone().stages[spec.cut :])
    return spec.precision == "auto" and spec.device == "cpu" and trained >= LEAST_GFLOPS


def count_parameters(spec: RunSpec, classes: int) -> tuple[int, int]:
    """Return how many parameters of the model that is taken home training may change, and how many it has.

    What only training needs, such as a discriminator or the head of a second question, is in neither.
    """
    backbone, strategy = spec.make_backbone(), get_strategy(spec.strategy)
    head = strategy.head_parameters(backbone.feature_dim, classes)
    own = backbone.suffix_parameters(spec.cut) + head  # of each network
    instant = spec.strategy == "prototypical" and spec.cut == len(
        backbone.stages
    )  # class means: nothing trains
    return 0 if instant else spec.networks * own, backbone.parameters + head + (spec.networks - 1) * own


def _work(backbone: Backbone, spec: RunSpec, rows: int, n_train: int, stored: int) -> tuple[float, float]:
    """Return the billions of multiply-adds below and above the cut over the whole run."""
    frozen = rows * sum(stage.gflops for stage in backbone.stages[:stored])
    between = sum(stage.gflops for stage in backbone.stages[stored : spec.cut])
    above = sum(stage.gflops for stage in backbone.stages[spec.cut :])
    passes = n_train * spec.epochs * spec.networks
    return frozen, passes * (TRAIN * above + between + (0 if above else HEAD_GFLOPS))


def make_course(setup: Setup, done: int = 0) -> Course:
    """Return how a run is divided into parts, by what is known of this machine, else by a slow one's pace.

    `done`: epochs after which this attempt goes on.
    """
    spec, backbone = setup.spec, setup.backbone
    stored, n_train = setup.stored_stage(spec.cut), len(setup.images("train"))
    images = len(setup.manifest.rows)
    rows = count_rows(spec, images, n_train)
    frozen, trained = _work(backbone, spec, rows, n_train, stored)
    speeds = read_timings(setup.library.home).get(f"{spec.device}/{spec.backbone}", {})
    once = images * spec.seen_views * sum(stage.gflops for stage in backbone.stages[stored:])
    slow = speeds.get("frozen", SLOW)
    seconds = {
        "load": OVERHEAD / 2,
        "measure": images * sum(stage.gflops for stage in backbone.stages) * slow
        if setup.measures_domains
        else 0.0,
        "frozen": frozen * slow if setup.caches(spec.cut) else 0.0,
        "train": trained * speeds.get("trained", slow),
        "test": OVERHEAD / 4 + once * slow,
    }
    return Course(seconds, spec.total_epochs, done)


def remember(setup: Setup, seconds: dict[str, float]) -> None:
    """Take a finished run's seconds into the timings; half old, half new, so that they follow change."""
    spec, backbone = setup.spec, setup.backbone
    stored = setup.stored_stage(spec.cut)
    n_train = len(setup.split.part("train"))
    rows = len(setup.split.assignment) + n_train * max(0, spec.views - 1)
    frozen, trained = _work(backbone, spec, rows, n_train, stored)
    timings = read_timings(setup.library.home)
    known = timings.setdefault(f"{spec.device}/{spec.backbone}", {})
    # What costs more an image than fine-tuning says nothing of the others, and what looks at further images stores
    # more than was counted: better than nothing where nothing is known yet.
    usual = not setup.strategy.cost
    # A cache that was mostly full already says nothing about computing it.
    if (
        stored
        and frozen
        and (usual or "frozen" not in known)
        and seconds["cache"] / frozen > 0.25 * known.get("frozen", 0.004)
    ):
        known["frozen"] = _blend(known.get("frozen"), seconds["cache"] / frozen)
    if spec.cut < len(backbone.stages) and trained and usual:
        known["trained"] = _blend(known.get("trained"), seconds["train"] / trained)
    write_timings(setup.library.home, timings)


def _blend(old: float | None, new: float) -> float:
    return new if old is None else (old + new) / 2


def read_timings(home: Path) -> Timings:
    """Return what is known, by device and backbone; of a damaged file, what can be used."""
    found: dict[str, Any] = read_kept(home / NAME, {})
    return {
        name: {part: pace for part, pace in paces.items() if isinstance(pace, float) and pace >= 0}
        for name, paces in found.items()
        if isinstance(paces, dict)
    }


def write_timings(home: Path, timings: Timings) -> None:
    """Keep what is known; where that fails, no matter: an estimate is never needed."""
    with suppress(OSError, UserError):
        write_json(home / NAME, timings)
