"""What the helper process does for a run's feature maps: features before training, and laying out either kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from transfer_core.data.library import Library
from transfer_core.evaluation.feature_map import Method, draw_sample, make_map
from transfer_core.evaluation.report import load_features, load_report
from transfer_core.models.cache import ActivationCache
from transfer_core.runs.maps import map_path
from transfer_core.runs.store import Run, RunStore
from transfer_core.training.setup import Setup, make_setup


def lay_out(store: RunStore, run: Run, method: Method, features_of: str) -> dict[str, Any]:
    """Make a run's map and keep it in its folder.

    `features_of`: "own", "pretrained" (those its backbone had before training), or the id of another run on the same
    images.
    """
    path = map_path(store, run, method, features_of)
    if path.exists():  # somebody else asked at the same time, or a page was left and opened again
        return {}
    report = load_report(store.folder(run.id), Library(store.home).get(run.manifest))
    places = draw_sample(report)
    if features_of == "pretrained":
        features = pretrained_features(store, run, [report.images[place] for place in places])
    else:
        source = run.id if features_of == "own" else features_of
        features = np.asarray(load_features(store.folder(source))[places])
    make_map(report, places, features, method).save(path)
    return {}


def pretrained_features(store: RunStore, run: Run, images: Sequence[str]) -> npt.NDArray[np.float32]:
    """Return the features [n, d] that a run's backbone gave before training; computed once, then kept in the cache."""
    setup = _pretrained(store, run)
    with setup.activations(setup.spec.cut) as activations:
        activations.fill(images, 1)
        return np.asarray(activations.at_cut(images).cpu().numpy(), np.float32)


def _pretrained(store: RunStore, run: Run) -> Setup:
    """Return the parts of a run that trains no stage, on the same images as they are."""
    cut = len(run.spec.make_backbone().stages)
    spec = replace(run.spec, strategy="feature_extraction", knobs={}, cut=cut, augment="none", test_views=False,
                   device="cpu")  # fmt: skip
    return make_setup(spec, Library(store.home), ActivationCache(store.home / "cache"))
