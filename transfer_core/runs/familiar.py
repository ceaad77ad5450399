"""What a run has learnt from, by features that tell images unlike it.

Training for a few classes lets the features of all else fall together: a photograph may come to lie among the
cells. Where a run's stages were trained, images are therefore compared by what the backbone made of them before.
"""

from __future__ import annotations

import numpy as np

from transfer_core.evaluation.report import Report, load_features
from transfer_core.evaluation.unknown import Familiar, fit_familiar, is_read
from transfer_core.runs.run import Run
from transfer_core.runs.store import RunStore
from transfer_core.strategies import get_strategy


def compares_before(run: Run) -> bool:
    """Whether images are compared by the features before training: those that training itself has changed."""
    trained = run.spec.cut < len(run.spec.make_backbone().stages)
    return trained and get_strategy(run.spec.strategy).pretrained


def get_familiar(store: RunStore, run: Run, report: Report) -> Familiar:
    """Return what a run has learnt from; UserError where that cannot be told. Needs torch where stages were trained."""
    if not compares_before(run):
        return fit_familiar(report, load_features(store.folder(run.id)), run.spec.seed)
    from transfer_core.runs.pretrained import pretrained_features

    places = np.flatnonzero(is_read(report))
    features = pretrained_features(store, run, [report.images[place] for place in places])
    return fit_familiar(report.some(places), features, run.spec.seed)
