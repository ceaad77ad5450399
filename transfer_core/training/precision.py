"""Whether a processor trains faster in bfloat16: dense convolutions mostly do, depthwise ones lose. A few steps tell."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from transfer_core.models.device import autocast
from transfer_core.training.estimate import leaves_precision_open, read_timings, write_timings
from transfer_core.training.setup import Setup

PAYS = 1.25  # times faster, from which less precise numbers are worth it
IMAGES, STEPS = 8, 3


def find_precision(setup: Setup, tell: Callable[[], None] = lambda: None) -> str:
    """Return the precision in which a run's stages train fastest on this machine, measured once per backbone and cut.

    Only where the user leaves it open, on a CPU, and enough is trained for bfloat16 to gain anything. `tell` is called
    before a measurement, which takes some seconds.
    """
    spec, backbone, home = setup.spec, setup.backbone, setup.library.home
    if not leaves_precision_open(spec):
        return setup.precision
    timings, part = read_timings(home), f"mixed from stage {spec.cut}, times faster"
    known = timings.setdefault(f"{spec.device}/{spec.backbone}", {})
    if part not in known:
        tell()
        shape = backbone.stages[spec.cut - 1].shape if spec.cut else (3, backbone.size, backbone.size)
        known[part] = gain_of_mixed(setup.model.members[0].stages[spec.cut :], shape)
        write_timings(home, timings)
    return "mixed" if known[part] >= PAYS else "fp32"


def gain_of_mixed(stages: nn.Sequential, shape: tuple[int, ...]) -> float:
    """Return how many times faster training steps of `stages` on activations [n, *shape] are in bfloat16 than in float32.

    On the CPU, in some seconds; the stages and the random numbers of training stay as they are. Whichever comes second
    finds memory warm, so both are warmed up, and the fastest step of each counts.
    """
    own = copy.deepcopy(stages).train()
    x = torch.zeros(IMAGES, *shape)
    x = x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
    with torch.random.fork_rng(devices=[]):
        took = {each: min(_step(own, x, each) for _ in range(STEPS)) for each in ("fp32", "mixed")}
    return took["fp32"] / took["mixed"]


def _step(stages: nn.Sequential, x: Tensor, precision: str) -> float:
    began = time.perf_counter()
    with autocast(x.device, precision):
        out = stages(x)
    torch.autograd.backward(out.float().square().sum())
    return time.perf_counter() - began
