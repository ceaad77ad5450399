"""A linear classifier on features that were learnt elsewhere, fitted many times over: for studies of the data themselves.

The strategy *feature extraction* trains the one that is reported; here hundreds of quick fits answer what would be with
fewer images, or what an image would be called by all the others. Needs scikit-learn: for the helper, not for the server.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
DIRECTIONS = 256
STRENGTHS = (1e-1, 1e-2, 1e-3, 1e-4)  # of the ridge penalty, relative to the size of the features
MEASURED = 5_000  # images from which the directions are found


def reduced(features: npt.NDArray[np.floating], directions: int = DIRECTIONS) -> Floats:
    """Return features [n, d] along their principal directions [n, at most `directions`], centred and of mean square 1.

    Nothing is whitened, so that what a ridge penalty does stays what it was, at a fraction of the time.
    """
    some = np.random.default_rng(0).permutation(len(features))[:MEASURED]
    known = np.asarray(features[np.sort(some)], np.float64)
    middle = known.mean(0)
    _, _, axes = np.linalg.svd(known - middle, full_matrices=False)
    found = (np.asarray(features, np.float64) - middle) @ axes[:directions].T
    return np.asarray(found / np.sqrt(np.square(found).mean() or 1.0))


def fit_predict(x: Floats, truth: Numbers, queries: Floats, classes: int, strength: float) -> Floats:
    """Return class probabilities [m, classes] of queries [m, d]; 0 for a class that `truth` [n] does not have.

    The penalty is that of `feature_extraction.penalised_cross_entropy`.
    """
    from sklearn.linear_model import LogisticRegression

    known = np.unique(truth)
    found = np.zeros((len(queries), classes))
    if len(known) < 2:
        found[:, known] = 1.0
        return found
    model = LogisticRegression(C=1 / (len(x) * strength * np.square(x).mean()), max_iter=500)
    found[:, known] = model.fit(x, truth).predict_proba(queries)
    return found


def folds(
    truth: Numbers, groups: Sequence[str] | None, count: int, seed: int = 0
) -> list[tuple[Numbers, Numbers]]:
    """Return (kept, left out) of `count` folds or fewer, classes in about equal shares, whole groups on one side.

    None where all images are of one group.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    units = np.arange(len(truth)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    count = min(count, len(np.unique(units)))
    if count < 2:
        return []
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # of classes with fewer images than folds: they are in some
        parts = list(splitter.split(truth, truth, units))
    return [(kept, out) for kept, out in parts if len(out) and len(kept)]


def choose_strength(x: Floats, truth: Numbers, groups: Sequence[str] | None, classes: int) -> float:
    """Return the penalty with the lowest loss on images left out, of STRENGTHS."""
    losses = dict.fromkeys(STRENGTHS, 0.0)
    for kept, out in folds(truth, groups, 3, seed=1):
        for strength in STRENGTHS:
            said = fit_predict(x[kept], truth[kept], x[out], classes, strength)
            losses[strength] -= float(np.log(np.maximum(said[np.arange(len(out)), truth[out]], 1e-6)).sum())
    return min(losses, key=lambda strength: losses[strength])
