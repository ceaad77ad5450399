"""The backbones as plain data: what the sliders and tables show, without importing torch.

Sizes, shapes and costs are measured from the real modules by `benchmarks/make_backbone_table.py`, kept in
`backbone_table.json` and compared with the modules again by `tests/models/test_backbones.py`.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from transfer_core.errors import UserError

WHOLE = 32  # a side that five halvings leave whole


@dataclass(frozen=True)
class Stage:
    """One piece of a backbone between two possible cuts.

    `shape` is the activation of one image after this stage at the backbone's own input size: `[c, h, w]`
    for convolutions, `[tokens, d]` for ViT, `[h, w, c]` for Swin, `[feature_dim]` after the last stage.
    `gflops` counts multiply-adds of this stage for one image in billions (10^9), the convention under which
    papers and torchvision report "GFLOPs"; normalisation and activations are not counted.
    `batch_norm` and `convolutions`: whether there are any in it.
    """

    name: str
    parameters: int
    shape: tuple[int, ...]
    gflops: float
    batch_norm: bool = False
    convolutions: bool = False


@dataclass(frozen=True)
class WeightsFile:
    """The file with a backbone's pretrained weights, and where it comes from.

    `package`: the file lies inside an installed Python package, `url` is empty and `sha256_prefix` is the
    whole hash. `torchvision`: the file is fetched from `url`; its name carries the first 8 hex digits of its
    sha256.
    """

    origin: Literal["package", "torchvision"]
    name: str
    file: str
    url: str
    sha256_prefix: str
    megabytes: float


@dataclass(frozen=True)
class Backbone:
    """A pretrained network without its classification layer, as an ordered list of stages.

    `top1` is the ImageNet accuracy in percent reported by the origin of the weights. `size` (pixels, square),
    `mean`, `std` (of RGB in 0..1), `interpolation` and `crop` (centre-crop fraction used when these weights
    were evaluated) belong to the weights: another normalisation would feed the network inputs it never saw.
    """

    key: str
    title: str
    family: str
    about: str
    weights: WeightsFile
    licence: str
    top1: float
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Literal["bicubic", "bilinear"]
    crop: float
    feature_dim: int
    stages: tuple[Stage, ...]

    @property
    def parameters(self) -> int:
        """Parameters of all stages, the classification layer not counted."""
        return self.suffix_parameters(0)

    @property
    def gflops(self) -> float:
        """Multiply-adds of all stages for one image, in billions."""
        return sum(stage.gflops for stage in self.stages)

    @property
    def can_resize(self) -> bool:
        """Whether images may enter at another size: where all is convolution, each stage halving or keeping it."""
        maps = [stage.shape for stage in self.stages if len(stage.shape) > 1]
        return all(
            len(each) == 3 and each[1] == each[2] == -(-self.size // self._stride(each)) for each in maps
        )

    def _stride(self, shape: tuple[int, ...]) -> int:
        """Return by what a map [c, h, w] is smaller than the image, a power of two."""
        return int(2 ** round(math.log2(self.size / shape[-1])))

    def at_size(self, size: int) -> Backbone:
        """Return the backbone for images of another size; UserError where it has only its own, or for an odd one."""
        if size == self.size:
            return self
        if not self.can_resize:
            raise UserError(
                f"{self.title} takes images of {self.size} pixels only: leave the image size out."
            )
        if size % WHOLE or not size:
            raise UserError(
                f"The image size must be {self.size} or a multiple of {WHOLE} pixels, not {size}."
            )

        def resized(stage: Stage) -> Stage:
            if len(stage.shape) == 1:
                return replace(stage, gflops=stage.gflops * (size / self.size) ** 2)
            side = size // self._stride(stage.shape)
            return replace(
                stage, shape=(stage.shape[0], side, side), gflops=stage.gflops * (size / self.size) ** 2
            )

        return replace(self, size=size, stages=tuple(resized(stage) for stage in self.stages))

    def suffix_parameters(self, cut: int) -> int:
        """Parameters that train when the stages from `cut` on train; 0 at `cut == len(stages)`."""
        if not 0 <= cut <= len(self.stages):
            raise UserError(
                f"The cut of {self.title} must lie between 0 and {len(self.stages)}, not at {cut}."
            )
        return sum(stage.parameters for stage in self.stages[cut:])


def get_backbone(key: str) -> Backbone:
    """The backbone of this key; an unknown key raises a UserError that names the known ones."""
    for backbone in BACKBONES:
        if backbone.key == key:
            return backbone
    keys = ", ".join(backbone.key for backbone in BACKBONES)
    raise UserError(f"There is no backbone called {key!r}. Choose one of: {keys}.", kind="unknown-backbone")


def _make_backbone(row: dict[str, Any]) -> Backbone:
    stages = tuple(Stage(**{**stage, "shape": tuple(stage["shape"])}) for stage in row["stages"])
    weights = WeightsFile(**row["weights"])
    return Backbone(
        **{**row, "mean": tuple(row["mean"]), "std": tuple(row["std"]), "weights": weights, "stages": stages}
    )


def _read_table() -> tuple[Backbone, ...]:
    table = Path(__file__).with_name("backbone_table.json")
    return tuple(_make_backbone(row) for row in json.loads(table.read_text(encoding="utf-8")))


BACKBONES: tuple[Backbone, ...] = _read_table()
"""All backbones, the default first; this order is the order in menus."""

DEFAULT = "lite0"
"""Key of the default backbone: its weights come with the installation and it is quick on a CPU."""
