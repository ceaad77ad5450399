"""What the helper process does for a run's feature maps: features before training, and laying out either kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from transfer_core.data.library import Library
from transfer_core.evaluation.feature_map import Method, draw_sample, make_map
from transfer_core.evaluation.report import load_features, load_report
from transfer_core.runs.maps import map_path
from transfer_core.runs.pretrained import pretrained_features
from transfer_core.runs.store import Run, RunStore


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
