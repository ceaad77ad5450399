"""A finished run's model, ready to say what it thinks of images it has never seen."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from transfer_core.data.images import Pixels
from transfer_core.data.library import Library
from transfer_core.data.preparation import Preparation
from transfer_core.errors import UserError
from transfer_core.evaluation.export import export_weights
from transfer_core.evaluation.predict import LARGEST, Seen
from transfer_core.models.cache import ActivationCache
from transfer_core.models.heads import bake
from transfer_core.models.model import MAIN
from transfer_core.models.prefix import Prefix
from transfer_core.runs.familiar import compares_before
from transfer_core.runs.pretrained import pretrained_setup
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
        self._store, self._run = store, run
        engine = run.result.get("engine", "torch")
        cache = ActivationCache(store.home / "cache")
        self._setup = make_setup(spec, Library(store.home), cache, engine=engine)
        self.model = self._setup.model.eval().to(self._setup.device)
        self.model.load_trained(load_best(store.folder(run.id), run.result["best_epoch"]))
        self._prefix = Prefix(
            self.model.stages, spec.cut, run.result["stored"], self._setup.backbone, self._setup.device,
            self._setup.graphs,
        )  # fmt: skip

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

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of the probabilities."""
        return self._setup.manifest.classes

    @property
    def preparation(self) -> Preparation:
        """How a file becomes pixels, exactly as in training."""
        backbone, spec = self._setup.backbone, self._setup.spec
        return Preparation(
            self._setup.manifest.reading, backbone.size, backbone.interpolation, spec.geometry, spec.augment,
            spec.seen_views, spec.seed,
        )  # fmt: skip

    @torch.no_grad()
    def look(self, pixels: npt.NDArray[np.uint8], *, many: bool = False) -> Seen:
        """Return what the model makes of images [n, views, 3, s, s]: the mean over their views.

        The same numbers as of each image by itself, and as in the run's report. `many`: more are to come, so that a
        faster engine for the trained stages, too, is worth the seconds that it takes to start.
        """
        n, views = pixels.shape[:2]
        flat = pixels.reshape(n * views, *pixels.shape[2:])
        if many and self._whole is not None:
            features = self._whole.from_stored(self._whole.to_stored(flat))
        else:
            x = self._prefix.from_stored(self._prefix.to_stored(flat))
            features = self.model.features(x, self._setup.spec.cut)
        chances = self.model.heads[MAIN](features).softmax(1)
        means = [each.reshape(n, views, -1).mean(1).cpu() for each in (chances, features)]
        return Seen(means[0].numpy(), means[1].clamp(-LARGEST, LARGEST).half().numpy())

    @cached_property
    def _whole(self) -> Prefix | None:
        """All stages as frozen ones, for ONNX Runtime; None where torch computes, or several networks stand side by side."""
        setup = self._setup
        if setup.graphs is None or len(self.model.members) > 1:
            return None
        stages, end = copy.deepcopy(self.model.stages), len(setup.backbone.stages)
        bake(stages)
        return Prefix(stages, end, self._prefix.stored, setup.backbone, setup.device, setup.graphs)

    @cached_property
    def _untrained(self) -> Prefix | None:
        """The whole backbone as it was before training, where training has changed it."""
        if not compares_before(self._run):
            return None
        before = pretrained_setup(self._store, self._run)
        cut = before.spec.cut
        return Prefix(before.model.stages, cut, cut, before.backbone, before.device, before.graphs)

    @torch.no_grad()
    def to_compare(self, pixels: npt.NDArray[np.uint8], seen: Seen) -> npt.NDArray[np.floating[Any]]:
        """Return the features [n, d] by which `Familiar` compares images [n, views, 3, s, s] of which `seen` was made."""
        if self._untrained is None:
            return seen.features
        return np.asarray(self._untrained.from_stored(self._untrained.to_stored(pixels[:, 0])).cpu().numpy())

    def predict_bytes(self, file: str, data: bytes) -> Prediction:
        """Return the prediction for a file's content; UserError where it is no readable image."""
        preparation = self.preparation
        (chances,) = self.look(preparation.make_views(preparation.read_bytes(data))[None]).probabilities
        said = self.classes[int(chances.argmax())]
        return Prediction(file, said, {name: float(p) for name, p in zip(self.classes, chances, strict=True)})


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
