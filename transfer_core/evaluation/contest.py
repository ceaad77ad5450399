"""Which of several models is better on the same test images, every pair of them, and how surely.

Exact McNemar for the accuracy of independent images where each model was trained once; else a test by the paired bootstrap,
of whole groups where the split kept groups apart, and with the seeds' own variance where there are several. Two models are
a family of one pair: a run beside its twin is asked here as well, so that no page has a verdict of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from transfer_core.data.split import Split
from transfer_core.evaluation.draws import Interval
from transfer_core.evaluation.paired import (
    ALPHA,
    holm,
    mcnemar,
    more_images,
    student_p,
    student_quantile,
    units_needed,
)
from transfer_core.evaluation.resample import Figures, count, draw_figures, make_figures, number_units

Measure = Literal["accuracy", "balanced_accuracy"]  # by which models are compared
HARM = -0.03  # a difference from which a model is flagged, whatever the interval says


def choose_measure(split: Split) -> Measure:
    """Return what decides between runs of a split: across domains classes may be as rare as they like in the target."""
    return "balanced_accuracy" if split.rule == "transfer" else "accuracy"


def too_few(units: int) -> bool:
    """Tell whether so many units (images or groups) could all differ in one direction by chance, as five do in 1 of 16 cases."""
    return 2.0 ** (1 - units) >= ALPHA


@dataclass(frozen=True)
class Gap:
    """One figure of the first minus that of the second; `held` is the interval that holds for all shown at once."""

    value: float
    interval: Interval  # 95 %, for this one alone
    held: Interval  # 95 % that all of the intervals shown beside it hold together (Bonferroni)


@dataclass(frozen=True)
class Pair:
    """Two models on the same images. `first` and `second` are their numbers."""

    first: int
    second: int
    n: int
    units: int  # what was treated as independent: images, or groups of them
    pairs: int  # how many were compared
    measure: Measure  # that decides
    telling: int  # units on which they differ, at most as many as hold the rarest class where each class counts alike
    accuracy: Gap
    balanced_accuracy: Gap
    only_first: int | None  # images that only the first gets right; None where there are several seeds
    only_second: int | None
    test: Literal["mcnemar", "images", "groups", "seeds"]
    p: float
    p_corrected: float
    more: (
        int | None
    )  # test images that are missing to tell; None where it is told, or no reasonable number would
    needs_seeds: bool = False  # whether images alone would not tell, because seeds differ too much

    @property
    def gap(self) -> Gap:
        """The difference in the measure that decides."""
        return self.balanced_accuracy if self.measure == "balanced_accuracy" else self.accuracy

    @property
    def is_harmful(self) -> bool:
        """Whether to warn of the first: surely worse, or worse by 3 points as it looks."""
        return self.verdict == "worse" or self.gap.value <= HARM

    @property
    def verdict(self) -> Literal["better", "cannot tell", "worse"]:
        """Better or worse only where the corrected test and the interval that holds for all pairs say so."""
        low, high = self.gap.held
        if self.p_corrected >= ALPHA or low <= 0 <= high:
            return "cannot tell"
        return "better" if low > 0 else "worse"

    def turned(self) -> Pair:
        """Return the same pair, the second first."""
        return replace(
            self,
            first=self.second,
            second=self.first,
            accuracy=_turn(self.accuracy),
            balanced_accuracy=_turn(self.balanced_accuracy),
            only_first=self.only_second,
            only_second=self.only_first,
        )


def _turn(gap: Gap) -> Gap:
    (low, high), (lowest, highest) = gap.interval, gap.held
    return Gap(-gap.value, (-high, -low), (-highest, -lowest))


@dataclass(frozen=True)
class _Spread:
    """A figure of one model, or a difference of two; its variance from the images and from the seeds, with its freedom."""

    value: float
    images: float
    seeds: float
    df: float
    units: int
    ends: Interval  # between which it lies

    def gap(self, together: int) -> Gap:
        """Return it with its intervals, one of so many shown together."""
        return Gap(self.value, self._interval(ALPHA), self._interval(ALPHA / together))

    def _interval(self, level: float) -> Interval:
        low, high = self.ends
        if width := (self.images + self.seeds) ** 0.5:
            half = width * student_quantile(1 - level / 2, self.df)
            return max(self.value - half, low), min(self.value + half, high)
        # Units that are all alike vary in no draw. How many of others are alike has an exact bound (Clopper and Pearson
        # 1934); the rest may lie anywhere.
        alike = (level / 2) ** (1 / self.units)
        return alike * self.value + (1 - alike) * low, alike * self.value + (1 - alike) * high


class Contest:
    """Several models on the same images.

    `truth` [n] class numbers; `right` holds for each model [seeds, n] whether each of its runs gets each image right.
    `groups` [n]: whole groups are drawn. `measure` decides. Runs of one model that differ in their seed alone stand for it by their
    mean at each image. Then two things vary, and their variances add up (Searle, Casella and McCulloch 1992, crossed
    random effects): which images were tested, by the bootstrap, and which seeds were trained, by the variance
    between the seeds less what these images cause of it. Resampling three seeds would understate that by a third; so
    few seeds cost degrees of freedom instead (Satterthwaite 1946); with two or three the interval may still be slightly
    narrow (simulated coverage 0.92 and 0.93 where seeds scatter by 3 points). Of a model trained once the interval says
    nothing about how another seed would do.

    An interval is the difference plus and minus Student's quantile times the standard error of 2,000 seeded
    resamples: unlike percentiles it reaches the far tails that many pairs ask for, and few groups widen it.
    """

    def __init__(
        self,
        truth: npt.NDArray[np.int64],
        right: Sequence[npt.NDArray[np.bool_]],
        classes: int,
        groups: Sequence[str] | None = None,
        measure: Measure = "accuracy",
    ) -> None:
        self.measure = measure
        runs = [np.atleast_2d(each) for each in right]
        ends = np.cumsum([0, *(len(each) for each in runs)])
        self.n, self.models, self.grouped = len(truth), len(runs), groups is not None
        self._truth, self._classes, self._groups = truth, classes, groups
        self._right = np.concatenate(runs).T.astype(np.float64)  # [n, runs]
        self._own = [slice(start, end) for start, end in pairwise(map(int, ends))]
        self._units = number_units(self.n, groups)
        self.units = len(np.unique(self._units))  # images, or groups of them, treated as independent
        self._holding = [len(np.unique(self._units[truth == label])) for label in range(classes)]
        self.rarest = min(
            (units for units in self._holding if units), default=0
        )  # units that hold the rarest class

    @cached_property
    def pairs(self) -> list[Pair]:
        """Every pair once, the first with the smaller number, corrected for how many they are."""
        duels = list(combinations(range(self.models), 2))
        found = [self._duel(first, second, len(duels)) for first, second in duels]
        corrected = holm([each.p for each in found])
        told = [replace(each, p_corrected=p) for each, p in zip(found, corrected, strict=True)]
        return [
            each if each.verdict == "cannot tell" else replace(each, more=None, needs_seeds=False)
            for each in told
        ]

    def pair(self, first: int, second: int) -> Pair:
        """Return a pair as it stands among all, in the order asked."""
        low, high = min(first, second), max(first, second)
        found = self.pairs[low * (2 * self.models - low - 1) // 2 + high - low - 1]
        return found if first == low else found.turned()

    def recalls(self, first: int, second: int) -> list[Gap | None]:
        """Return the difference in recall of each class, held for all classes at once; None for one without images."""
        together = sum(units > 0 for units in self._holding)
        return [
            self._spread("recall", (label,), (first, second), units).gap(together) if units else None
            for label, units in enumerate(self._holding)
        ]

    def figure(self, model: int, measure: Measure) -> Gap:
        """Return a figure of one model, the mean over its seeds, with its interval."""
        return self._spread(measure, (), (model,), self._counting(measure)).gap(1)

    def _counting(self, measure: Measure) -> int:
        """Return how many units a figure rests on: a mean over classes is no surer than the class that fewest units hold."""
        return self.rarest if measure == "balanced_accuracy" else self.units

    def _duel(self, first: int, second: int, pairs: int) -> Pair:
        both = {
            each: self._spread(each, (), (first, second), self._counting(each))
            for each in ("accuracy", "balanced_accuracy")
        }
        seen = both[self.measure]
        one, other = (self._right[:, self._own[each]] for each in (first, second))
        differ = one.mean(1) != other.mean(1)
        telling = min(self._counting(self.measure), len(np.unique(self._units[differ])))
        single = one.shape[1] == other.shape[1] == 1
        only = (int((one > other).sum()), int((other > one).sum())) if single else (None, None)
        exact = single and not self.grouped and self.measure == "accuracy"
        p = mcnemar(int((one > other).sum()), int((other > one).sum())) if exact else _p(seen, telling)
        more, alone = (
            more_images(
                max(
                    units_needed(seen.value, seen.images * seen.units, fixed, ALPHA / pairs),
                    0.0
                    if exact
                    else 1 + math.log2(pairs / ALPHA),  # of fewer no difference can be told from chance
                )
                * self.n
                / seen.units,
                self.n,
            )
            for fixed in (seen.seeds, 0.0)
        )
        return Pair(
            first=first, second=second, n=self.n, units=self.units, pairs=pairs, measure=self.measure,
            telling=telling,
            accuracy=both["accuracy"].gap(pairs), balanced_accuracy=both["balanced_accuracy"].gap(pairs),
            only_first=only[0], only_second=only[1],
            test="groups" if self.grouped else "mcnemar" if exact else "images" if single else "seeds",
            p=p, p_corrected=p, more=more, needs_seeds=more is None and alone is not None,
        )  # fmt: skip

    # -- what varies ------------------------------------------------------------------------

    @cached_property
    def _figures(self) -> Figures:
        return make_figures(*count(self._truth, self._right, self._classes))

    @cached_property
    def _drawn(self) -> Figures:
        return draw_figures(self._truth, self._right, self._classes, self._groups)

    @cached_property
    def _drawn_alone(self) -> Figures:
        return draw_figures(self._truth, self._right, self._classes)

    def _variance(self, figure: str, place: tuple[int, ...], models: tuple[int, ...], scale: float) -> float:
        """Return the variance that the images bring: by groups never less than by image, for few may be alike by chance."""
        found = []
        for drawn, factor in ((self._drawn, scale), *([(self._drawn_alone, 1.0)] if self.grouped else [])):
            own = [getattr(drawn, figure)[(slice(None), *place, self._own[each])].mean(1) for each in models]
            found.append(float(np.nanvar(own[0] - (own[1] if own[1:] else 0.0))) * factor)
        return max(found)

    def _spread(self, figure: str, place: tuple[int, ...], models: tuple[int, ...], units: int) -> _Spread:
        """Return a figure of one model, or of the first less that of the second; `place`: the class, for recall."""
        own = [getattr(self._figures, figure)[(*place, self._own[each])] for each in models]
        value = float(own[0].mean() - (own[1].mean() if own[1:] else 0.0))
        ends = (-1.0 if own[1:] else 0.0), 1.0
        if units < 2:
            return _Spread(value, 1.0, 0.0, 1.0, units, ends)  # one group tells nothing of others
        scale = units / (units - 1)  # what resampling n units leaves out of the variance
        drawn = [getattr(self._drawn, figure)[(slice(None), *place, self._own[each])] for each in models]
        images = self._variance(figure, place, models, scale)
        parts = [(images, units - 1)]
        for values, again in zip(own, drawn, strict=True):
            if (seeds := len(values)) > 1:
                by_images = np.nanvar(again - again.mean(1, keepdims=True), axis=0).sum() / (seeds - 1)
                between = float(values.var(ddof=1) - by_images * scale) / seeds
                parts.append((max(0.0, between), seeds - 1))
        total = sum(each for each, _ in parts)
        df = total**2 / sum(each**2 / free for each, free in parts) if total else units - 1.0
        return _Spread(value, images, total - images, df, units, ends)


def _p(seen: _Spread, telling: int) -> float:
    """Return the p value; so few units that all could differ alike by chance cannot make it smaller than that."""
    width = (seen.images + seen.seeds) ** 0.5
    if not seen.value or seen.units < 2:
        return 1.0
    return min(1.0, max(student_p(seen.value / width, seen.df) if width else 0.0, 2.0 ** (1 - telling)))
