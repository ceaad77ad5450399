"""Between which times a first run will take, from a trial of some two seconds on this machine.

What a trial found (`trial.py`) is kept with the timings: per device, backbone, image size, cut and precision the seconds per
billion multiply-adds, and per data set the seconds to read an image. After a first run `estimate.py` knows better.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transfer_core.training.estimate import (
    HEAD_GFLOPS,
    OVERHEAD,
    SLOW,
    TRAIN,
    count_rows,
    leaves_precision_open,
    read_timings,
    write_timings,
)
from transfer_core.training.spec import RunSpec

# A trial meets the machine for two seconds only: what it finds is widened to both sides.
FASTER, SLOWER = 0.7, 1.6
SLOW_START = 5.0  # times longer than usual, at most, until a run trains and after it has: 54 s were seen on a slow machine
MIXED = 2.0  # times faster, at most, where a run may find out that it trains in bfloat16


@dataclass(frozen=True)
class Pace:
    """What a trial found: seconds per billion multiply-adds below the cut and above it, seconds to read an image by one core.

    Of what trains one pass forward counts; a step is three. 0 where there is nothing below the cut, or above it.
    """

    frozen: float
    trained: float
    reading: float


def forecast(
    pace: Pace, spec: RunSpec, images: int, n_train: int, n_val: int, stored: int
) -> tuple[float, float]:
    """Return the seconds that a run takes at least and at most, by the pace of this machine; `stored` as `choose_stored` says."""
    stages = spec.make_backbone().stages
    below = sum(stage.gflops for stage in stages[:stored])
    between = sum(stage.gflops for stage in stages[stored : spec.cut])
    above = sum(stage.gflops for stage in stages[spec.cut :])
    epochs = spec.epochs * spec.networks
    fresh = (n_train if spec.views == 0 or not spec.cache else 0) + (0 if spec.cache else n_val)  # an epoch

    def seconds(epochs: int, reading: float) -> float:
        """Return what computing and reading take; `reading`: the share of it that computing does not hide."""
        rows = count_rows(spec, images, n_train) + epochs * fresh
        computing = rows * below * pace.frozen
        seen = n_train * TRAIN + n_val  # in an epoch, as passes forward
        training = epochs * (seen * above * pace.trained + (n_train + n_val) * between * pace.frozen)
        testing = images * spec.seen_views * (above * pace.trained + between * pace.frozen)
        return computing + reading * rows * pace.reading + training + testing

    head = 0.0 if above else epochs * n_train * HEAD_GFLOPS * SLOW
    fewest = min(epochs, spec.patience + 1) if spec.patience else epochs  # where it ends early
    least = FASTER * seconds(fewest, 0.0)
    most = SLOWER * (seconds(epochs, 1.0) + head)
    if leaves_precision_open(spec):
        least /= MIXED
    return OVERHEAD / 2 + least, OVERHEAD * SLOW_START + most


def read_pace(home: Path, spec: RunSpec) -> Pace | None:
    """Return what a trial for a spec like this found; None where there was none."""
    known = read_timings(home)
    found = known.get(_computing(spec), {}) | known.get(_reading(spec), {})
    try:
        return Pace(found["frozen"], found["trained"], found["reading"])
    except KeyError:
        return None


def keep_pace(home: Path, spec: RunSpec, pace: Pace) -> None:
    """Keep what a trial found."""
    timings = read_timings(home)
    timings[_computing(spec)] = {"frozen": pace.frozen, "trained": pace.trained}
    timings[_reading(spec)] = {"reading": pace.reading}
    write_timings(home, timings)


def _computing(spec: RunSpec) -> str:
    size = spec.make_backbone().size
    return (
        f"trial of {spec.device}/{spec.backbone}, {size} pixels, {spec.cut} stages frozen, {spec.precision}"
    )


def _reading(spec: RunSpec) -> str:
    return f"trial of {spec.manifest}, {spec.make_backbone().size} pixels, {spec.geometry}"
