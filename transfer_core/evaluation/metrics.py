"""Accuracy, balanced accuracy, F1 and their 95 % intervals, from one row per image.

Proportions get the exact interval of Clopper and Pearson (1934); everything else a seeded percentile bootstrap (Efron
1979) of 2,000 resamples. Where the split kept groups apart, whole groups are resampled, because the
images of one patient or part are not independent, and few of them widen every interval (`draws.interval_of_groups`). Resampling works on confusion matrices: drawing n
images with replacement is a multinomial draw over the cells, so 2,000 resamples cost milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from transfer_core.evaluation.draws import (
    RESAMPLES,
    Interval,
    count_units,
    draw_sums,
    interval_of_groups,
    interval_of_images,
)

Counts = npt.NDArray[np.float64]  # [..., classes, classes]; rows are true, columns predicted


@dataclass(frozen=True)
class ClassMetrics:
    """One class: of those predicted so, how many are (precision); of those that are, how many found (recall).

    Of the images of other classes, how many were not taken for it (specificity).
    """

    name: str
    precision: float
    precision_ci: Interval
    recall: float
    recall_ci: Interval
    f1: float
    f1_ci: Interval
    specificity: float
    specificity_ci: Interval
    support: int


@dataclass(frozen=True)
class Metrics:
    """The figures of one set of images. `resampled` says what the intervals treat as independent."""

    n: int
    correct: int
    accuracy: float
    accuracy_ci: Interval
    balanced_accuracy: float
    balanced_accuracy_ci: Interval
    macro_f1: float
    macro_f1_ci: Interval
    kappa: float  # agreement beyond chance (Cohen 1960); from -1 to 1
    kappa_ci: Interval
    per_class: tuple[ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]
    resampled: str  # "images" or "groups"
    groups: int | None

    def to_json(self) -> dict[str, Any]:
        """Return plain data, classes under the key `class`; see `as_told`."""
        data = asdict(self)
        data["per_class"] = [{"class": each.pop("name"), **each} for each in data["per_class"]]
        return as_told(data)


RATES = ("precision", "recall", "f1", "specificity")
FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "kappa")


def as_told(test: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures as plain data in which what is not defined, and an interval without width, is None.

    A class that was never said has no precision, one without images no recall; of no images nothing is known. Figures that
    an older version stored come out as those of today.
    """
    if "confusion" not in test:
        return dict(test)
    counts, data = np.asarray(test["confusion"]), dict(test)
    n, hits = int(counts.sum()), int(np.trace(counts))
    if not n:
        data |= dict.fromkeys(FIGURES)
    elif "kappa" in data and hits == n and (np.diag(counts) > 0).sum() == 1:
        data["kappa"] = None  # one class alone: nothing is beyond chance
    data = _without_width(data, FIGURES)
    rows = []
    for number, each in enumerate(test.get("per_class", ())):
        support, said = int(counts[number].sum()), int(counts[:, number].sum())
        of = {"precision": said, "recall": support, "f1": said + support, "specificity": n - support}
        none = {name: None for name in RATES if name in each and not of[name]}
        rows.append(_without_width({**each, **none}, RATES))
    return data | ({"per_class": rows} if rows else {})


def _without_width(data: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return figures with None for each interval that belongs to no figure, or has no width."""
    for key in (f"{name}_ci" for name in names):
        ends = data.get(key)
        if ends and (data.get(key[:-3]) is None or not ends[0] < ends[1]):
            data[key] = None
    return data


def exact(hits: float, n: float) -> Interval:
    """Return the exact 95 % interval of a proportion (Clopper and Pearson 1934); (0, 1) where n is 0.

    It covers the truth at least 95 times in 100, whatever the truth and n: somewhat wider than need be with few images.
    """
    if n == 0:
        return 0.0, 1.0
    from scipy.special import betaincinv

    low = float(betaincinv(hits, n - hits + 1, 0.025)) if hits > 0 else 0.0
    return low, float(betaincinv(hits + 1, n - hits, 0.975)) if hits < n else 1.0


def make_metrics(
    truth: npt.NDArray[np.int64],
    predicted: npt.NDArray[np.int64],
    classes: Sequence[str],
    groups: Sequence[str] | None = None,
    seed: int = 0,
) -> Metrics:
    """Return all figures of images with true classes [n] and predicted classes [n].

    `groups` [n]: resample these instead of single images. Macro-F1 averages over the classes that
    occur, as true or as predicted; balanced accuracy over those that occur as true.
    """
    confusion = make_confusion(truth, predicted, len(classes))
    grouped = groups is not None
    unit = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]  # of each image
    drawn = [
        _resample(truth, predicted, len(classes), each, np.random.default_rng([seed, 95]))
        for each in ([unit, None] if grouped else [None])
    ]
    n, correct = int(confusion.sum()), int(np.trace(confusion))
    recalls, precisions, f1s, spared = _rates(confusion)
    rates = [_rates(each) for each in drawn]
    hits, said, support = np.diag(confusion), confusion.sum(0), confusion.sum(1)
    holding = [count_units(unit, truth == index) for index in np.flatnonzero(support)] if grouped else []

    def spread(
        value: float, draws: list[npt.NDArray[np.float64]], units: int, ends: Interval = (0.0, 1.0)
    ) -> Interval:
        """Return the interval of a figure from its draws, by group and by image or by image alone."""
        return (
            interval_of_groups(value, draws, units, ends) if grouped else interval_of_images(draws[0], ends)
        )

    def rate(
        count: float, of: float, draws: list[npt.NDArray[np.float64]], among: npt.NDArray[np.bool_]
    ) -> Interval:
        """Return the interval of a share of the images `among` [n]; of groups all alike each counts as one image."""
        if not grouped:
            return exact(count, of)
        units = count_units(unit, among)
        if 0 < count < of:
            return spread(count / of, draws, units)
        return exact(units if count else 0, units)

    per_class = tuple(
        ClassMetrics(
            name=name,
            precision=_number(precisions[index]),
            precision_ci=rate(
                hits[index], said[index], [each[1][:, index] for each in rates], predicted == index
            ),
            recall=_number(recalls[index]),
            recall_ci=rate(
                hits[index], support[index], [each[0][:, index] for each in rates], truth == index
            ),
            f1=_number(f1s[index]),
            f1_ci=spread(
                _number(f1s[index]),
                [each[2][:, index] for each in rates],
                count_units(unit, (truth == index) | (predicted == index)),
            ),
            specificity=_number(spared[index]),
            specificity_ci=rate(
                n - support[index] - said[index] + hits[index],
                n - support[index],
                [each[3][:, index] for each in rates],
                truth != index,
            ),
            support=int(support[index]),
        )
        for index, name in enumerate(classes)
    )
    # A figure over classes is no surer than the class that fewest groups hold.
    least, units = min(holding, default=0), count_units(unit)
    kappa = _number(float(_kappa(confusion)))
    accuracies = [np.trace(each, axis1=-2, axis2=-1) / np.maximum(each.sum((-2, -1)), 1) for each in drawn]
    return Metrics(
        n=n,
        correct=correct,
        accuracy=correct / max(n, 1),
        accuracy_ci=rate(correct, n, accuracies, np.ones(n, dtype=bool)),
        balanced_accuracy=_mean(recalls),
        balanced_accuracy_ci=spread(_mean(recalls), [_row_means(each[0]) for each in rates], least)
        if grouped
        else _balanced_interval(hits, support, seed),
        macro_f1=_mean(f1s),
        macro_f1_ci=spread(_mean(f1s), [_row_means(each[2]) for each in rates], least),
        kappa=kappa,
        kappa_ci=spread(kappa, [_kappa(each) for each in drawn], units, (-1.0, 1.0)),
        per_class=per_class,
        confusion=tuple(tuple(int(cell) for cell in row) for row in confusion),
        resampled="groups" if grouped else "images",
        groups=units if grouped else None,
    )


def _balanced_interval(hits: Counts, support: Counts, seed: int) -> Interval:
    """Return the interval of the mean recall from hits [classes] among images [classes]; (0, 1) of none.

    Recalls are drawn from their Beta distributions (Jeffreys) instead of resampled: of a class with few images that are
    all right, resampling would find no doubt at all.
    """
    known = support > 0
    if not known.any():
        return 0.0, 1.0
    rng = np.random.default_rng([seed, 96])
    drawn = rng.beta(hits[known] + 0.5, (support - hits)[known] + 0.5, size=(RESAMPLES, int(known.sum())))
    low, high = np.percentile(drawn.mean(1), [2.5, 97.5])
    value = float((hits[known] / support[known]).mean())
    return min(float(low), value), max(float(high), value)


def make_confusion(
    truth: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: int
) -> npt.NDArray[np.float64]:
    """Return the confusion matrix [classes, classes]: rows true, columns predicted."""
    cells = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.float64)


def balanced_accuracy(truth: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: int) -> float:
    """Return the mean recall over the classes that occur as true."""
    return _mean(_rates(make_confusion(truth, predicted, classes))[0])


def _resample(
    truth: npt.NDArray[np.int64],
    predicted: npt.NDArray[np.int64],
    classes: int,
    unit: npt.NDArray[np.int64] | None,
    rng: np.random.Generator,
) -> Counts:
    """Return RESAMPLES confusion matrices, drawn by image or by group."""
    if not len(truth):
        return np.full((1, classes, classes), np.nan)
    if unit is None:
        cells = make_confusion(truth, predicted, classes).ravel()
        drawn = rng.multinomial(len(truth), cells / len(truth), size=RESAMPLES)
        return np.asarray(drawn, np.float64).reshape(-1, classes, classes)
    units = int(unit.max()) + 1
    own = np.bincount(unit * classes**2 + truth * classes + predicted, minlength=units * classes**2)
    return draw_sums(own.reshape(units, -1).astype(np.float64), rng).reshape(-1, classes, classes)


def _rates(confusion: Counts) -> tuple[Counts, Counts, Counts, Counts]:
    """Return recall, precision, F1 and specificity per class [..., classes]; NaN where there is nothing to rate."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    support, said = confusion.sum(-1), confusion.sum(-2)
    others = confusion.sum((-2, -1))[..., None] - support
    with np.errstate(invalid="ignore", divide="ignore"):
        return hits / support, hits / said, 2 * hits / (support + said), 1 - (said - hits) / others


def _kappa(confusion: Counts) -> Counts:
    """Return Cohen's kappa [...]; NaN where truth and prediction are one and the same class throughout."""
    total = confusion.sum((-2, -1))
    with np.errstate(invalid="ignore", divide="ignore"):
        agreed = np.trace(confusion, axis1=-2, axis2=-1) / total
        chance = (confusion.sum(-1) * confusion.sum(-2)).sum(-1) / total**2
        return np.asarray((agreed - chance) / (1 - chance))


def _row_means(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the mean of what is known in each row of [m, k]; NaN for a row without anything."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(1)
    return np.where(known.any(1), total / np.maximum(known.sum(1), 1), np.nan)


def _mean(values: npt.NDArray[np.float64]) -> float:
    return _number(float(np.nanmean(values))) if not np.isnan(values).all() else 0.0


def _number(value: float) -> float:
    return 0.0 if np.isnan(value) else float(value)
