"""The labelled images of one part of a report as arrays: what was true, what was said, and how surprising it was.

Pages ask it for the images behind a figure; with 50,000 of them a loop over rows would be felt at every click.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from transfer_core.data.manifest import Row
from transfer_core.evaluation.draws import Interval
from transfer_core.evaluation.metrics import Metrics, exact, make_metrics
from transfer_core.evaluation.report import Report
from transfer_core.evaluation.shares import intervals_of_share

Numbers = npt.NDArray[np.int64]
LEVEL = 0.05


@dataclass(frozen=True)
class Part:
    """How images of one domain or group were told. `accuracy_ci` is exact, of images like these, or by whole groups.

    `is_worse`: told that much worse than all images that, with so many parts looked at, chance alone would show one as bad
    in fewer than 5 of 100 cases (Bonferroni; a binomial test, or an interval by whole groups).
    """

    name: str
    n: int
    correct: int
    accuracy: float
    accuracy_ci: Interval
    is_worse: bool


@dataclass(frozen=True)
class Cases:
    """Labelled images [n]. `truth` and `said` [n] number the manifest's classes; `probabilities` [n, classes]."""

    rows: tuple[Row, ...]
    classes: tuple[str, ...]
    truth: Numbers
    said: Numbers
    probabilities: npt.NDArray[np.float64]

    @property
    def loss(self) -> npt.NDArray[np.float64]:
        """The cross-entropy of each image [n]: how surprising its label is."""
        given = self.probabilities[np.arange(len(self.truth)), self.truth]
        return np.asarray(-np.log(np.maximum(given, 1e-12)))

    def find(
        self, *, label: str | None = None, said: str | None = None, domain: str | None = None,
        group: str | None = None, wrong: bool = False,
    ) -> Numbers:  # fmt: skip
        """Return the places of the images that fit, the most surprising first; None where it does not matter."""
        fits = np.ones(len(self.rows), dtype=bool)
        for wanted, own in ((label, self.truth), (said, self.said)):
            if wanted is not None:
                fits &= own == self.classes.index(wanted)
        for wanted, names in ((domain, self._names("domain")), (group, self._names("group"))):
            if wanted is not None:
                fits &= names == wanted
        if wrong:
            fits &= self.truth != self.said
        places = np.flatnonzero(fits)
        return places[np.argsort(-self.loss[places], kind="stable")]

    def by(self, what: str, *, grouped: bool = False) -> list[Part]:
        """Return how each "domain" or "group" was told, the worst first; images that name none are left out.

        `grouped`: images of one group are not independent, so that domains are measured and judged by whole groups.
        """
        if what == "domain" and grouped:
            return self._domains_by_groups()
        names = self._names(what)
        known, number = np.unique(names[names != ""], return_inverse=True)
        right = (self.truth == self.said)[names != ""]
        n, correct = np.bincount(number, minlength=len(known)), np.bincount(number, right, len(known))
        from scipy.special import bdtr  # the binomial distribution

        chances = bdtr(correct, n, float(right.mean()) if len(right) else 0.0) * len(known)
        parts = [
            Part(str(name), int(all_), int(some), float(some / all_), exact(some, all_), bool(chance < LEVEL))
            for name, all_, some, chance in zip(known, n, correct, chances, strict=True)
        ]
        return sorted(parts, key=lambda part: (part.accuracy, -part.n))

    def _domains_by_groups(self) -> list[Part]:
        names, right = self._names("domain"), self.truth == self.said
        groups = np.array([row.group or row.image for row in self.rows])
        known = np.unique(names[names != ""])
        parts = []
        for name in known:
            own = names == name
            within = groups[own].tolist()
            interval = make_metrics(self.truth[own], self.said[own], self.classes, within).accuracy_ci
            (strict,) = intervals_of_share(right[own], within, LEVEL / len(known))
            worse = bool(strict[1] < right[names != ""].mean())
            n, correct = int(own.sum()), int(right[own].sum())
            parts.append(Part(str(name), n, correct, correct / n, interval, worse))
        return sorted(parts, key=lambda part: (part.accuracy, -part.n))

    def _names(self, what: str) -> npt.NDArray[np.str_]:
        get: Callable[[Row], Any] = {"domain": lambda row: row.domain, "group": lambda row: row.group}[what]
        return np.array([get(row) or "" for row in self.rows], dtype=np.str_)


def make_cases(report: Report, part: str = "test") -> Cases:
    """Return the images of a report's part that are labelled with a class that is asked about."""
    asked = frozenset(report.classes)
    rows = [(row, p) for row, _, p in report.rows(part) if row.label in asked]
    numbers = {name: index for index, name in enumerate(report.manifest.classes)}
    probabilities = np.array([p for _, p in rows], dtype=np.float64).reshape(len(rows), len(numbers))
    return Cases(
        rows=tuple(row for row, _ in rows),
        classes=tuple(report.manifest.classes),
        truth=np.array([numbers[row.label or ""] for row, _ in rows], dtype=np.int64),
        said=np.asarray(probabilities.argmax(1), dtype=np.int64),
        probabilities=probabilities,
    )


def metrics_of_domains(report: Report, cases: Cases) -> dict[str, Metrics]:
    """Return all figures of each domain's images; whole groups are resampled where the split kept them apart."""
    found = {}
    for domain in sorted({row.domain for row in cases.rows if row.domain}):
        own = [index for index, row in enumerate(cases.rows) if row.domain == domain]
        groups = (
            [cases.rows[index].group or cases.rows[index].image for index in own] if report.grouped else None
        )
        found[domain] = make_metrics(cases.truth[own], cases.said[own], cases.classes, groups)
    return found
