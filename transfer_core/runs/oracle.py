"""What the target's labels would have chosen: asked only when all is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from transfer_core.evaluation.metrics import balanced_accuracy
from transfer_core.training.events import Ended
from transfer_core.training.judge import target_path
from transfer_core.training.places import make_places
from transfer_core.training.setup import Setup


def about_target(setup: Setup, folder: Path, ended: Ended) -> dict[str, Any]:
    """Return what was chosen by, and, only now that all is over, what the target's labels would have chosen."""
    used = len(setup.picked)
    found: dict[str, Any] = {"target_labels_used": used}
    phases = setup.strategy.phases(setup.task)
    # A run that was stopped early may never have reached the phase that chooses anew.
    reached = [each for each in zip(phases, make_places(phases), strict=True) if each[1].first < ended.epoch]
    unreached = [each.name for each in phases[len(reached) :] if each.selects == "anew"]
    if unreached:
        found["unreached"] = unreached[0]
    if setup.spec.networks > 1:  # each has an epoch of its own: there is no single one to ask about
        return found
    images = setup.images("unlabelled")
    truth = setup.targets(images).cpu().numpy()
    known = (truth >= 0) & ~np.isin(images, setup.picked)
    if not known.any():
        return found
    classes = len(setup.manifest.classes)
    anew = max(
        (place.first for phase, place in reached if phase.selects == "anew" and place.first < ended.best),
        default=0,
    )
    competing = [
        epoch
        for phase, place in reached
        for epoch in range(place.first + 1, min(place.last, ended.epoch) + 1)
        if phase.selects != "never" and epoch > anew
    ]
    values = {
        epoch: balanced_accuracy(truth[known], np.load(path)[known].argmax(1), classes)
        for epoch in competing
        if (path := target_path(folder, epoch)).exists()
    }
    oracle = max(values, key=lambda epoch: (values[epoch], -epoch))
    found["oracle"] = {
        "epoch": oracle, "balanced_accuracy": values[oracle], "chosen": values[ended.best], "images": int(known.sum()),
    }  # fmt: skip
    return found
