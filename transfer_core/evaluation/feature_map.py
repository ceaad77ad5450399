"""Features laid out on a plane: PCA or t-SNE of a sample, and how often like lies beside like in the features themselves."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from transfer_core.errors import UserError
from transfer_core.evaluation.report import Report
from transfer_core.files import atomic_path, told_as

Method = Literal["pca", "tsne"]
Floats = npt.NDArray[np.float32]
MOST = 2000  # images on a map: more take minutes, and their dots cover each other
REDUCED = 50  # dimensions that t-SNE starts from (van der Maaten and Hinton 2008 take 30, most later work 50)
PERPLEXITY = 30.0


@dataclass(frozen=True)
class FeatureMap:
    """Where images lie: `xy` [n, 2] of the report's rows `places` [n]. Axes have no unit.

    `kept`: the share of the features' variance that the plane holds (PCA), NaN for t-SNE. Of `asked` test images
    `agreeing` have the class of the training image most like them, by the features, not on the plane.
    """

    places: npt.NDArray[np.int64]
    xy: Floats
    kept: float
    agreeing: int
    asked: int

    def save(self, path: Path) -> None:
        """Write it to a file, whole or not at all."""
        with atomic_path(path) as part, part.open("wb") as out:
            np.savez_compressed(out, places=self.places, xy=self.xy, kept=self.kept, agreeing=self.agreeing,
                                asked=self.asked)  # fmt: skip


def load_map(path: Path) -> FeatureMap:
    """Return the map that `save` wrote; a damaged one is removed, so that the next to ask makes it anew."""
    try:
        with told_as("This map was damaged: open it again."), np.load(path, allow_pickle=False) as stored:
            return FeatureMap(
                stored["places"],
                stored["xy"],
                float(stored["kept"]),
                int(stored["agreeing"]),
                int(stored["asked"]),
            )
    except UserError:
        path.unlink(missing_ok=True)
        raise


def draw_sample(report: Report, most: int = MOST, seed: int = 0) -> npt.NDArray[np.int64]:
    """Return the rows [n] of a report that a map shows, in order: all, or `most` drawn in proportion.

    In proportion to each part, domain and class, and at least one of each.
    """
    strata: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for place, (row, part, _) in enumerate(report.rows()):
        strata[part, row.domain or "", row.label or ""].append(place)
    share = min(1.0, most / max(1, len(report.images)))
    rng = np.random.default_rng([seed, 91])
    drawn = [
        rng.permutation(strata[key])[: max(1, int(share * len(strata[key])))].tolist()
        for key in sorted(strata)
    ]
    return np.array(sorted(place for each in drawn for place in each), np.int64)


def make_map(
    report: Report, places: npt.NDArray[np.int64], features: npt.NDArray[Any], method: Method
) -> FeatureMap:
    """Return the map of features [n, d] of the report's rows `places` [n]."""
    rows = np.asarray(features, np.float32)
    plane, kept = project(rows, 2)
    xy = plane if method == "pca" else _tsne(rows)
    agreeing, asked = neighbours_agree(report, places, rows)
    return FeatureMap(places, xy, kept if method == "pca" else float("nan"), agreeing, asked)


def project(features: Floats, dimensions: int) -> tuple[Floats, float]:
    """Return features [n, d] on their first principal components [n, dimensions], and the share of variance kept.

    The sign of a component is arbitrary; the largest loading is made positive, so that it is the same each time.
    """
    centred = np.asarray(features - features.mean(0), np.float64)
    values, vectors = np.linalg.eigh(centred.T @ centred)  # ascending
    axes = vectors[:, ::-1][:, :dimensions]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    kept = float(values[::-1][:dimensions].sum() / max(values.sum(), np.finfo(float).tiny))
    return np.asarray(centred @ axes, np.float32), kept


def _tsne(features: Floats) -> Floats:
    from sklearn.manifold import TSNE

    start = project(features, min(REDUCED, *features.shape))[0]
    perplexity = min(PERPLEXITY, max(1.0, (len(start) - 1) / 3))
    found = TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(start)
    return np.asarray(found, np.float32)


def align(xy: Floats, to: Floats) -> Floats:
    """Return points [n, 2] centred, and turned or mirrored so that they lie as near as can be to others [n, 2].

    Orthogonal Procrustes (Schönemann 1966): distances within a map stay, and which way round it lies means nothing.
    """
    own, other = xy - xy.mean(0), to - to.mean(0)
    left, _, right = np.linalg.svd(own.T.astype(np.float64) @ other)
    return np.asarray(own @ (left @ right), np.float32)


def neighbours_agree(report: Report, places: npt.NDArray[np.int64], features: Floats) -> tuple[int, int]:
    """Return (how many test images have the class of the training image most like them, of how many), by cosine."""
    rows = report.rows()
    labels = np.array([rows[place][0].label or "" for place in places])
    parts = np.array([rows[place][1] for place in places])
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    asked, known = ((parts == part) & (labels != "") for part in ("test", "train"))
    if not (asked.any() and known.any()):
        return 0, 0
    beside = labels[known][(unit[asked] @ unit[known].T).argmax(1)]
    return int((beside == labels[asked]).sum()), int(asked.sum())
