"""A trial of some two seconds before the first run: how fast this machine computes a backbone and reads a data set's images.

The frozen part runs by the engine that a run would use, on random pixels; where that is ONNX Runtime its graph is made,
which the run then finds. What trains does whole training steps.
"""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from transfer_core.data.images import decode_pixels
from transfer_core.data.library import Library
from transfer_core.models.backbones import Backbone
from transfer_core.models.device import autocast, choose_precision, make_device
from transfer_core.models.loading import load_backbone
from transfer_core.models.onnx_stages import graph_folder
from transfer_core.models.prefix import MICRO_BATCH, Prefix, choose_engine
from transfer_core.training.estimate import TRAIN
from transfer_core.training.forecast import Pace
from transfer_core.training.spec import RunSpec

LONG = 0.8  # seconds for either part of the network
SHORT = 0.2  # seconds for all else
IMAGES = 8  # of a training step: enough to keep a processor busy, and a run's memory stays free


def try_out(spec: RunSpec, library: Library, stored: int, stages: nn.Sequential | None = None) -> Pace:
    """Return this machine's pace for a spec; `stored` as `choose_stored` says, `stages` stand in for the pretrained (tests).

    UserError where the weights or the images are missing. The random numbers of others stay as they are.
    """
    backbone, device = spec.make_backbone(), make_device(spec.device)
    stages = stages or load_backbone(backbone, home=library.home)
    with torch.random.fork_rng(devices=[]):
        return Pace(
            frozen=_time_frozen(stages, spec, backbone, device, library, stored) if spec.cut else 0.0,
            trained=_time_trained(stages, spec, backbone, device) if spec.cut < len(stages) else 0.0,
            reading=_time_reading(spec, library, backbone),
        )


def _time_frozen(
    stages: nn.Sequential,
    spec: RunSpec,
    backbone: Backbone,
    device: torch.device,
    library: Library,
    stored: int,
) -> float:
    """Return the seconds per billion multiply-adds of the frozen stages, all cores at work."""
    graphs = graph_folder(library.home) if choose_engine(backbone, device) == "onnx" else None
    prefix = Prefix(stages, spec.cut, stored, backbone, device, graphs)
    size = (MICRO_BATCH, 3, backbone.size, backbone.size)
    pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    prefix.make_ready()
    work = MICRO_BATCH * sum(stage.gflops for stage in backbone.stages[: spec.cut])
    return _pace(lambda: prefix.from_stored(prefix.to_stored(pixels)), LONG) / work


def _time_trained(stages: nn.Sequential, spec: RunSpec, backbone: Backbone, device: torch.device) -> float:
    """Return the seconds per billion multiply-adds and pass of the stages that train, a step being `TRAIN` passes."""
    own = copy.deepcopy(stages[spec.cut :]).train().to(device)
    shape = backbone.stages[spec.cut - 1].shape if spec.cut else (3, backbone.size, backbone.size)
    x = torch.rand(IMAGES, *shape, device=device)
    x = x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
    precision = choose_precision(spec.precision, device)
    optimiser = torch.optim.AdamW(own.parameters(), lr=0.0)

    def gradients() -> None:
        with autocast(device, precision):
            out = own(x)
        torch.autograd.backward(out.float().square().mean())
        float(out.detach()[0, 0])  # a GPU has then done it

    def step() -> None:
        optimiser.step()
        float(next(own.parameters()).detach().flatten()[0])

    each = _pace(gradients, LONG) / IMAGES + _pace(step, SHORT) / spec.batch_size
    return each / (TRAIN * sum(stage.gflops for stage in backbone.stages[spec.cut :]))


def _time_reading(spec: RunSpec, library: Library, backbone: Backbone) -> float:
    """Return the seconds to read one of the data set's images, its file being warm or cold as it is."""
    manifest = library.get(spec.manifest)
    drawn = np.random.default_rng(0).permutation(len(manifest.rows))
    images = itertools.cycle(manifest.rows[index].image for index in drawn)

    def read() -> None:
        data = library.image_path(next(images)).read_bytes()
        decode_pixels(data, manifest.reading, backbone.size, spec.geometry, backbone.interpolation)

    return _pace(read, SHORT)


def _pace(work: Callable[[], object], seconds: float) -> float:
    """Return the seconds that `work` takes, done for about `seconds` and at least once.

    A time before does not count, however long it took: it opens graphs and sets up kernels.
    """
    work()
    began, times = time.perf_counter(), 0
    while times == 0 or time.perf_counter() - began < seconds:
        work()
        times += 1
    return (time.perf_counter() - began) / times
