"""The frozen stages before the cut, run fast and always the same.

Batch-norm is folded into the convolution before it (its statistics cannot move below the cut), and images go through in micro-batches of one fixed size, so that an
activation does not depend on which other images happened to be beside it: cached and uncached
training are then the same to the last bit.
"""

from __future__ import annotations

import copy
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from transfer_core.data.images import Pixels
from transfer_core.models.backbones import Backbone
from transfer_core.models.onnx_stages import OnnxStages

Engine = Literal["torch", "onnx"]
VERSIONS = {
    "torch": "torch-folded-1",
    "onnx": "onnx-folded-1",
}  # of what an engine computes, for the cache's key
MICRO_BATCH = 16
ONNX_BATCH = 4  # enough for ONNX Runtime to be at its fastest, and a single image need not wait for sixteen
MOST_LANES = 8
LEAST_GFLOPS = 0.1  # per image; below it making a graph takes longer than it saves


class Prefix:
    """The stages before `cut`; `stored` of them lie before the point that the cache keeps.

    `stored == 0` keeps decoded pixels [3, s, s] uint8. Otherwise activations, float32 where they are
    plain vectors and float16 where they are maps (a quarter of a percent of precision, half the disk;
    values beyond float16's 65504 saturate).

    With a folder of `graphs` ONNX Runtime computes every piece that it can, else torch does.
    """

    def __init__(
        self,
        stages: nn.Sequential,
        cut: int,
        stored: int,
        backbone: Backbone,
        device: torch.device,
        graphs: Path | None = None,
    ) -> None:
        self.cut, self.stored, self.device = cut, stored, device
        self._backbone, self._graphs = backbone, graphs
        self._folded = fold_batch_norm(stages[:cut], backbone.size)
        self._mean = torch.tensor(backbone.mean, device=device).view(1, -1, 1, 1) * 255
        self._scale = 1 / (torch.tensor(backbone.std, device=device).view(1, -1, 1, 1) * 255)

    @property
    def lanes(self) -> int:
        """How many threads may call `to_stored` at once, so that all cores are used; 1 where one call uses them all."""
        return 1 if self._first_onnx is None else min(torch.get_num_threads(), MOST_LANES)

    @property
    def is_ready(self) -> bool:
        """Whether all graphs are there, so that the first activation does not wait for their export."""
        return all(each is None or each.is_known for each in (self._first_piece, self._second_piece))

    def make_ready(self) -> None:
        """Export the graphs that are not there yet, which takes some seconds."""
        _ = self._first_onnx, self._second_onnx

    @property
    def engine(self) -> str:
        """What computes the stored activations, and in which version; part of the cache's key."""
        return VERSIONS["torch" if self._first_onnx is None else "onnx"]

    def dtype(self, shape: Sequence[int]) -> str:
        """Return the storage dtype of an activation of one image of this shape."""
        if self.stored == 0:
            return "uint8"
        return "float32" if len(shape) == 1 else "float16"

    def normalise(self, pixels: Pixels) -> Tensor:
        """Return pixels [n, 3, s, s] as the network's input, float32 on the device."""
        x = torch.from_numpy(pixels).to(self.device, torch.float32)
        return ((x - self._mean) * self._scale).contiguous(memory_format=torch.channels_last)

    def to_stored(self, pixels: Pixels) -> npt.NDArray[np.generic]:
        """Return what the cache keeps of pixels [n, 3, s, s]: an array [n, *shape]."""
        if self.stored == 0:
            return pixels
        if self._first_onnx is not None:
            out = torch.from_numpy(_in_batches(self._first_onnx, pixels))
        else:
            out = self._run(self._torch[: self.stored], self.normalise(pixels))
        if out.ndim > 2:
            out = out.clamp(-65504, 65504).half()
        return np.asarray(out.cpu().contiguous().numpy())

    def from_stored(self, rows: npt.NDArray[np.generic]) -> Tensor:
        """Return the activation at the cut, float32 on the device, of rows as the cache keeps them."""
        if self.stored < self.cut and self._second_onnx is not None:
            rows = rows if self.stored == 0 else rows.astype(np.float32)
            out = torch.from_numpy(_in_batches(self._second_onnx, rows))
            return out.contiguous(memory_format=torch.channels_last) if out.ndim == 4 else out
        if self.stored == 0:
            x = self.normalise(rows.astype(np.uint8, copy=False))
        else:
            x = torch.from_numpy(rows).to(self.device, torch.float32)
            if x.ndim == 4:
                x = x.contiguous(memory_format=torch.channels_last)
        return self._run(self._torch[self.stored :], x) if self.stored < self.cut else x

    @cached_property
    def _torch(self) -> nn.Sequential:
        return self._folded.to(self.device).to(memory_format=torch.channels_last)

    @cached_property
    def _first_onnx(self) -> OnnxStages | None:
        return None if self._first_piece is None or self._first_piece.problem else self._first_piece

    @cached_property
    def _second_onnx(self) -> OnnxStages | None:
        return None if self._second_piece is None or self._second_piece.problem else self._second_piece

    @cached_property
    def _first_piece(self) -> OnnxStages | None:
        return self._piece(0, self.stored)

    @cached_property
    def _second_piece(self) -> OnnxStages | None:
        return self._piece(self.stored, self.cut)

    def _piece(self, start: int, end: int) -> OnnxStages | None:
        """Return the stages from one to another for ONNX Runtime; None where there are none, or torch is to compute them."""
        if self._graphs is None or self.device.type != "cpu" or start == end:
            return None
        own, drawn = self._backbone, torch.Generator().manual_seed(0)  # training's own draws stay as they are
        name, piece = f"{own.key}-{own.size}-{start}-{end}", self._folded[start:end]
        if start:
            maps = torch.randn(ONNX_BATCH, *own.stages[start - 1].shape, generator=drawn)
            return OnnxStages(piece, maps, name, self._graphs)
        size = (ONNX_BATCH, 3, own.size, own.size)
        pixels = torch.randint(256, size, dtype=torch.uint8, generator=drawn)
        return OnnxStages(piece, pixels, name, self._graphs, self._mean, self._scale)

    @torch.no_grad()  # not inference mode: what comes out takes part in training
    def _run(self, stages: nn.Sequential, x: Tensor) -> Tensor:
        outs = []
        for start in range(0, len(x), MICRO_BATCH):
            part = x[start : start + MICRO_BATCH]
            missing = MICRO_BATCH - len(part)
            if missing:
                # Not torch.cat, which would give up channels-last, and with it the last bits.
                part = nn.functional.pad(part, (0, 0) * (part.ndim - 1) + (0, missing))
            outs.append(stages(part)[: MICRO_BATCH - missing])
        return torch.cat(outs) if outs else x


def _in_batches(stages: OnnxStages, rows: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Return what stages make of rows [n, ...], the last batch filled up with zeros; of many on several cores."""

    def batch(start: int) -> npt.NDArray[np.generic]:
        part = rows[start : start + ONNX_BATCH]
        if len(part) == ONNX_BATCH:
            return stages(np.ascontiguousarray(part))
        whole = np.zeros((ONNX_BATCH, *rows.shape[1:]), rows.dtype)
        whole[: len(part)] = part
        return stages(whole)[: len(part)]

    starts = range(0, max(len(rows), 1), ONNX_BATCH)
    if len(starts) == 1 or threading.current_thread() is not threading.main_thread():
        return np.concatenate([batch(start) for start in starts])
    with ThreadPoolExecutor(min(torch.get_num_threads(), MOST_LANES)) as pool:
        return np.concatenate(list(pool.map(batch, starts)))


def choose_engine(backbone: Backbone, device: torch.device) -> Engine:
    """Return what computes frozen stages fastest: ONNX Runtime on a CPU, for networks of convolutions that are no toys.

    Measured on two of them: decision 24. A run keeps the engine that it began with.
    """
    convolves = all(stage.convolutions for stage in backbone.stages[:-1])
    return "onnx" if device.type == "cpu" and convolves and backbone.gflops >= LEAST_GFLOPS else "torch"


def fold_batch_norm(stages: nn.Sequential, size: int) -> nn.Sequential:
    """Return a copy of stages in eval mode with each batch-norm folded into its convolution.

    Which convolution feeds which batch-norm is seen by running an image [1, 3, size, size] through,
    so any architecture will do; a batch-norm not fed directly by a convolution stays as it is.
    """
    folded = copy.deepcopy(stages).eval().requires_grad_(False)
    for conv_name, norm_name in _find_pairs(folded, size):
        conv, norm = folded.get_submodule(conv_name), folded.get_submodule(norm_name)
        plain = nn.BatchNorm2d(norm.num_features, norm.eps)  # type: ignore[arg-type]
        plain.load_state_dict({k: v for k, v in norm.state_dict().items() if k in plain.state_dict()})
        _replace(folded, conv_name, fuse_conv_bn_eval(conv, plain.eval()))  # type: ignore[type-var]
        # timm's BatchNormAct2d carries its activation with it.
        _replace(folded, norm_name, getattr(norm, "act", None) or nn.Identity())
    return folded


def _replace(root: nn.Module, name: str, new: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(root.get_submodule(parent), leaf, new)


def _find_pairs(stages: nn.Sequential, size: int) -> list[tuple[str, str]]:
    """Return (convolution, batch-norm) names where the norm's input is the convolution's output.

    Not where something changed the output in place before the norm saw it, nor where one of the two
    is used more than once.
    """
    # id of an output -> its maker and version; the tensor is kept alive
    made: dict[int, tuple[str, Tensor, int]] = {}
    pairs: list[tuple[str, str]] = []
    calls: Counter[str] = Counter()
    handles = []
    for name, module in stages.named_modules():
        if isinstance(module, nn.Conv2d):

            def after(_: nn.Module, __: Any, out: Tensor, name: str = name) -> None:
                calls[name] += 1
                made[id(out)] = (name, out, out._version)

            handles.append(module.register_forward_hook(after))
        elif isinstance(module, nn.BatchNorm2d):

            def before(_: nn.Module, args: tuple[Tensor, ...], name: str = name) -> None:
                calls[name] += 1
                found = made.get(id(args[0]))
                if found and args[0]._version == found[2]:
                    pairs.append((found[0], name))

            handles.append(module.register_forward_pre_hook(before))
    try:
        with torch.no_grad():
            stages(torch.zeros(1, 3, size, size, device=_device_of(stages)))
    finally:
        for handle in handles:
            handle.remove()
    return [pair for pair in pairs if calls[pair[0]] == calls[pair[1]] == 1]


def _device_of(module: nn.Module) -> torch.device:
    return next((each.device for each in module.parameters()), torch.device("cpu"))
