"""Studies of a run's data set by linear probes on the pretrained features: whose label looks wrong, would more help.

Made on request, in the helper, and kept in the run's folder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from transfer_core.data.library import Library
from transfer_core.data.manifest import Row
from transfer_core.errors import UserError
from transfer_core.evaluation.label_errors import find_suspects, out_of_fold
from transfer_core.evaluation.learning_curve import measure_curve
from transfer_core.runs.pretrained import pretrained_features
from transfer_core.runs.store import Run, RunStore
from transfer_core.runs.studies import keep_study

Tell = Callable[[int, int], object]
FEWEST = 30  # labelled images from which a study says anything
AHEAD = (1, 1.5, 2, 4)  # times the images there are


def study_labels(store: RunStore, run: Run, tell: Tell = lambda *_: None) -> dict[str, Any]:
    """Find labels that may be wrong among all labelled images of a run's data set, by folds."""
    rows, truth, groups, classes = _labelled(
        store, run, ("train", "val", "test", "target_train", "unlabelled")
    )
    features = pretrained_features(store, run, [row.image for row in rows])
    found = find_suspects(out_of_fold(features.astype(np.float64), truth, groups, len(classes), tell), truth)
    data = {
        "n": len(rows),
        "suspects": [
            {"image": rows[place].image, "instead": classes[instead], "margin": float(margin)}
            for place, instead, margin in zip(found.images, found.instead, found.margin, strict=True)
        ],
    }
    keep_study(store.folder(run.id), "labels", data)
    return data


def study_curve(store: RunStore, run: Run, tell: Tell = lambda *_: None) -> dict[str, Any]:
    """Measure accuracy against the number of labelled images, on training and validation images."""
    rows, truth, groups, classes = _labelled(store, run, ("train", "val"))
    features = pretrained_features(store, run, [row.image for row in rows])
    curve = measure_curve(features.astype(np.float64), truth, groups, len(classes), tell)
    ahead = np.array([times * len(rows) for times in AHEAD])
    expected, low, high = curve.project(ahead)
    data = {
        "n": len(rows),
        "groups": len(set(groups)) if groups else None,
        "sizes": curve.sizes.tolist(),
        "mean": curve.accuracies.mean(0).tolist(),
        "lowest": curve.accuracies.min(0).tolist(),
        "highest": curve.accuracies.max(0).tolist(),
        "repeats": len(curve.accuracies),
        "ahead": {
            "sizes": ahead.tolist(),
            "mean": expected.tolist(),
            "low": low.tolist(),
            "high": high.tolist(),
        },
    }
    keep_study(store.folder(run.id), "curve", data)
    return data


def _labelled(
    store: RunStore, run: Run, parts: tuple[str, ...]
) -> tuple[list[Row], npt.NDArray[np.int64], list[str] | None, list[str]]:
    """Return the labelled rows of some parts, their class numbers, their groups where there are any, and the classes."""
    library = Library(store.home)
    manifest, split = library.get(run.manifest), library.get_split(run.manifest, run.spec.split)
    rows = [
        row
        for row in manifest.rows
        if row.label is not None and split.assignment.get(row.image, "unlabelled") in parts
    ]
    if len(rows) < FEWEST:
        raise UserError(
            f"There are only {len(rows)} labelled images for this: bring {FEWEST} or more.", "few-images"
        )
    classes = [name for name in manifest.classes if any(row.label == name for row in rows)]
    truth = np.array([classes.index(row.label or "") for row in rows], dtype=np.int64)
    groups = [row.group or row.image for row in rows] if any(row.group for row in rows) else None
    return rows, truth, groups, classes
