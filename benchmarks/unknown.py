"""Are images unlike the training images found? The share that is flagged, of images that are no solar cells at all.

    uv run --with scikit-image python benchmarks/unknown.py [RUN ...]

Each run is a finished one on the solar cells under TRANSFER_LAB_HOME. Beside what is flagged rightly stands what is
flagged by mistake: test images, which are cells as good as any. Real photographs are those that packages bring along.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from common import Check, finish
from PIL import Image, ImageOps

from sample_data.shapes import draw_shapes
from transfer_core.evaluation.metrics import exact
from transfer_core.evaluation.report import load_features
from transfer_core.evaluation.unknown import (
    NEIGHBOURS,
    SHARE,
    Familiar,
    fit_familiar,
    is_unknown,
    nearest_distances,
)
from transfer_core.files import get_home
from transfer_core.runs.familiar import compares_before
from transfer_core.runs.lab import Lab
from transfer_core.runs.predictor import Predictor
from transfer_core.runs.pretrained import pretrained_features
from transfer_core.runs.store import Run

N = 200
EXCHANGED = "cells, black and white exchanged"
OTHERS = (1, 5, 10, 50)  # neighbours, to see how much hangs on NEIGHBOURS
PHOTOGRAPHS = {  # that packages bring along
    "sklearn": ("datasets/images", ("china.jpg", "flower.jpg")),
    "skimage": ("data", (
        "astronaut.png", "brick.png", "camera.png", "cell.png", "chelsea.png", "clock_motion.png", "coffee.png", "coins.png",
        "color.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "microaneurysms.png", "moon.png",
        "motorcycle_left.png", "page.png", "retina.jpg", "rocket.jpg", "text.png",
    )),
}  # fmt: skip


def photographs() -> list[Image.Image]:
    """The photographs that installed packages bring along, each whole and in tiles of at least 150 pixels."""
    paths = []
    for package, (folder, names) in PHOTOGRAPHS.items():
        spec = find_spec(package)
        here = Path(spec.origin).parent / folder if spec and spec.origin else None
        paths += [here / name for name in names if here and (here / name).exists()]
    found = []
    for path in paths:
        with Image.open(path) as opened:
            whole = opened.convert("RGB")
        found.append(whole)
        across, down = whole.width // 150, whole.height // 150
        w, h = whole.width // max(across, 1), whole.height // max(down, 1)
        if across * down > 1:
            found += [
                whole.crop((x * w, y * h, (x + 1) * w, (y + 1) * h))
                for x in range(across)
                for y in range(down)
            ]
    return found


def unlike(lab: Lab, run: Run) -> Iterator[tuple[str, list[Image.Image]]]:
    """Yield (what, images) that are no solar cells, and at last the cells with black and white exchanged."""
    rng = np.random.default_rng(0)
    yield "drawn shapes", [each.image for each in draw_shapes(N, seed=0, size=224)]
    found = photographs()
    yield "photographs, whole and tiles", found
    yield "the same, grey", [each.convert("L").convert("RGB") for each in found]
    noise = rng.integers(0, 256, (50, 224, 224, 3), dtype=np.uint8)
    yield "noise", [Image.fromarray(each) for each in noise]
    yield "plain grey", [Image.new("RGB", (224, 224), (level,) * 3) for level in range(0, 256, 5)]
    test = [row for row, _, _ in lab.report(run).rows("test")][:N]
    cells = [Image.open(lab.library.image_path(row.image)).convert("RGB") for row in test]
    yield EXCHANGED, [ImageOps.invert(each) for each in cells]


def features_of(predictor: Predictor, images: list[Image.Image]) -> np.ndarray:
    """Features [n, d] of images, as the run sees them."""
    pixels = [predictor.preparation.make_views(each) for each in images]
    parts = [np.stack(pixels[at : at + 16]) for at in range(0, len(pixels), 16)]
    return np.concatenate([predictor.to_compare(part, predictor.look(part)) for part in parts])


def measure(lab: Lab, run: Run) -> list[dict[str, Any]]:
    """The rows of one run."""
    report = lab.report(run)
    features: np.ndarray = load_features(lab.store.folder(run.id))
    if compares_before(run):
        features = pretrained_features(lab.store, run, report.images)
    familiar = fit_familiar(report, features, run.spec.seed)
    parts = np.array(report.parts)
    sets = [("test images (by mistake)", np.asarray(features[parts == "test"]))]
    predictor = Predictor(lab.store, run)
    sets += [(what, features_of(predictor, images)) for what, images in unlike(lab, run)]
    rows = []
    for what, seen in sets:
        row: dict[str, Any] = {"run": run.name, "images": what, "n": len(seen)}
        for k in OTHERS:
            own = np.sort(nearest_distances(familiar.reference, np.asarray(features[parts == "val"]), k))
            other = Familiar(familiar.reference, own, k)
            flagged = is_unknown(other.p_values(other.distances(seen)), other.images)
            row[f"k={k}"] = float(flagged.mean())
            if k == NEIGHBOURS:
                low, high = exact(int(flagged.sum()), len(flagged))
                row["95 %"] = f"{low:.3f}-{high:.3f}"
        rows.append(row)
    return rows


def main() -> None:
    lab = Lab(get_home())
    runs = [lab.store.find(each) for each in sys.argv[1:]] or [
        run for run in lab.store.runs() if run.result and (lab.store.folder(run.id) / "features.npy").exists()
    ]
    rows = [row for run in runs for row in measure(lab, replace(run))]
    ours = f"k={NEIGHBOURS}"
    checks = []
    for row in rows:
        if row["images"] == EXCHANGED:  # still cells, and close to others: reported, not promised
            continue
        wrong = row["images"] == "test images (by mistake)"
        name = f"{row['run']}: {row['images']}, share flagged"
        checks.append(Check(name, row[ours], 3 * SHARE if wrong else 0.9, at_least=not wrong))
    finish("unknown", rows, checks)


if __name__ == "__main__":
    main()
