"""The frozen stages before the cut, run fast and always the same.

Batch-norm is folded into the convolution before it (its statistics cannot move below the cut), the
memory layout is channels-last, and images go through in micro-batches of one fixed size, so that an
activation does not depend on which other images happened to be beside it: cached and uncached
training are then the same to the last bit.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from transfer_core.data.images import Pixels
from transfer_core.models.backbones import Backbone

ENGINE = "torch-folded-1"
MICRO_BATCH = 16


class Prefix:
    """The stages before `cut`; `stored` of them lie before the point that the cache keeps.

    `stored == 0` keeps decoded pixels [3, s, s] uint8. Otherwise activations, float32 where they are
    plain vectors and float16 where they are maps (a quarter of a percent of precision, half the disk;
    values beyond float16's 65504 saturate).
    """

    def __init__(
        self,
        stages: nn.Sequential,
        cut: int,
        stored: int,
        backbone: Backbone,
        device: torch.device,
    ) -> None:
        self.cut, self.stored, self.device = cut, stored, device
        frozen = fold_batch_norm(stages[:cut], backbone.size).to(device)
        frozen = frozen.to(memory_format=torch.channels_last)
        self._first, self._second = frozen[:stored], frozen[stored:]
        self._mean = torch.tensor(backbone.mean, device=device).view(1, -1, 1, 1) * 255
        self._scale = 1 / (torch.tensor(backbone.std, device=device).view(1, -1, 1, 1) * 255)

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
        out = self._run(self._first, self.normalise(pixels))
        if out.ndim > 2:
            out = out.clamp(-65504, 65504).half()
        return np.asarray(out.cpu().contiguous().numpy())

    def from_stored(self, rows: npt.NDArray[np.generic]) -> Tensor:
        """Return the activation at the cut, float32 on the device, of rows as the cache keeps them."""
        if self.stored == 0:
            x = self.normalise(rows.astype(np.uint8, copy=False))
        else:
            x = torch.from_numpy(rows).to(self.device, torch.float32)
            if x.ndim == 4:
                x = x.contiguous(memory_format=torch.channels_last)
        return self._run(self._second, x) if self.stored < self.cut else x

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
