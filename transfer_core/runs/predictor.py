"""A finished run's model, ready to say what it thinks of images it has never seen."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from transfer_core.data.augment import make_view
from transfer_core.data.images import Pixels, to_pixels, to_rgb
from transfer_core.data.keep import keep
from transfer_core.data.library import Library
from transfer_core.data.manifest import Problem
from transfer_core.data.sources import open_source
from transfer_core.errors import UserError
from transfer_core.evaluation.export import export_weights
from transfer_core.evaluation.report import safe_cells
from transfer_core.models.cache import ActivationCache
from transfer_core.models.prefix import Prefix
from transfer_core.runs.store import Run, RunStore
from transfer_core.training.checkpoint import load_best
from transfer_core.training.setup import Setup, make_setup


@dataclass(frozen=True)
class Prediction:
    """What the model says of one file: the likeliest class, and the probability of each."""

    file: str
    label: str
    probabilities: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return plain data, the label under the key `class`."""
        return {"file": self.file, "class": self.label, "probabilities": self.probabilities}


class Predictor:
    """Reads files exactly as training did: same decoding, geometry, backbone and cut."""

    def __init__(self, store: RunStore, run: Run, device: str = "cpu") -> None:
        if not run.result:
            raise UserError(
                f"Run {run.id} is {run.state} and has no model yet: let it finish first.", "no-model"
            )
        spec = replace(run.spec, device=device)
        self._setup = make_setup(spec, Library(store.home), ActivationCache(store.home / "cache"))
        self.model = self._setup.model.eval().to(self._setup.device)
        self.model.load_trained(load_best(store.folder(run.id), run.result["best_epoch"]))
        self._prefix = Prefix(
            self.model.stages, spec.cut, run.result["stored"], self._setup.backbone, self._setup.device
        )

    @property
    def setup(self) -> Setup:
        """The run's parts, put together."""
        return self._setup

    def normalise(self, pixels: Pixels) -> torch.Tensor:
        """Return pixels [n, 3, s, s] as the network's input."""
        return self._prefix.normalise(pixels)

    def at_cut(self, pixels: Pixels) -> torch.Tensor:
        """Return activations at the run's cut of pixels [n, 3, s, s], as training saw them."""
        return self._prefix.from_stored(self._prefix.to_stored(pixels))

    @torch.no_grad()
    def predict_bytes(self, file: str, data: bytes) -> Prediction:
        """Return the prediction for a file's content; UserError where it is no readable image."""
        backbone, spec = self._setup.backbone, self._setup.spec
        image = to_rgb(keep(data)[0].image, self._setup.manifest.reading)
        pixels = to_pixels(image, backbone.size, spec.geometry, backbone.interpolation)
        views = [make_view(pixels, spec.augment, view, "", spec.seed) for view in range(spec.seen_views)]
        x = self.at_cut(np.stack(views))
        chances = self.model(x, spec.cut).float().softmax(1).mean(0).cpu().numpy()
        classes = self._setup.manifest.classes
        said = classes[int(chances.argmax())]
        return Prediction(file, said, {name: float(p) for name, p in zip(classes, chances, strict=True)})

    def predict_path(self, path: Path) -> tuple[list[Prediction], list[Problem]]:
        """Return predictions for a file, folder or zip, and what could not be read."""
        candidates, problems = open_source(path)
        predictions: list[Prediction] = []
        for each in candidates:
            try:
                predictions.append(self.predict_bytes(each.path, each.read()))
            except UserError as error:
                problems.append(Problem(each.path, error.kind, str(error)))
            except OSError as error:
                problems.append(
                    Problem(each.path, "unreadable", f"the file cannot be read ({error.strerror})")
                )
        return predictions, problems


def write_predictions(path: Path, predictions: Sequence[Prediction]) -> None:
    """Write file, class and one probability column per class, safe to open in a spreadsheet."""
    classes = list(predictions[0].probabilities) if predictions else []
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(safe_cells(["file", "class", *classes]))
        for each in predictions:
            chances = [f"{each.probabilities[name]:.6f}" for name in classes]
            writer.writerow([*safe_cells([each.file, each.label]), *chances])


def export_run(store: RunStore, run: Run, path: Path) -> None:
    """Write a run's chosen weights, with what is needed to use them, as one safetensors file."""
    if not run.result:
        raise UserError(f"Run {run.id} is {run.state} and has no model yet: let it finish first.", "no-model")
    backbone = run.spec.make_backbone()
    about = {
        "classes": json.dumps(Library(store.home).get(run.manifest).classes),
        "backbone": backbone.key,
        "size": str(backbone.size),
        "mean": json.dumps(backbone.mean),
        "std": json.dumps(backbone.std),
        "interpolation": backbone.interpolation,
        "geometry": run.spec.geometry,
        "averaged_views": run.spec.augment if run.spec.test_views else "none",
        "run": run.id,
    }
    export_weights(Predictor(store, run).model, path, about)
