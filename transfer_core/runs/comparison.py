"""Runs side by side: their figures and costs, their order on validation images, and what can be said of every pair."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean
from typing import Any

import numpy as np

from transfer_core.errors import UserError
from transfer_core.evaluation.contest import Contest, Measure, Pair, choose_measure
from transfer_core.evaluation.draws import Interval
from transfer_core.evaluation.metrics import exact
from transfer_core.evaluation.report import Report, load_report
from transfer_core.runs.caveats import cut_short, on_both_sides
from transfer_core.runs.lab import Lab
from transfer_core.runs.recipes import Recipe, group_runs
from transfer_core.runs.run import Run
from transfer_core.training.choice import score
from transfer_core.training.estimate import count_parameters
from transfer_core.training.spec import RULES

MOST = 30  # recipes side by side
BY_ACCURACY = "accuracy on the validation images"
BYTES = 4  # of a weight in the file taken home
Key = tuple[float, ...]  # by which runs are put in order


@dataclass(frozen=True)
class Entry:
    """One recipe's figures. Where it was trained with several seeds, means over them."""

    recipe: Recipe
    tests: tuple[dict[str, Any], ...]  # figures on the unseen images, one for each run
    seconds: float  # of training above what is frozen, of a run, on average
    trained: int  # parameters that train
    megabytes: float  # of the weights taken home
    val: float  # accuracy on validation images
    val_interval: Interval
    val_n: int
    best_run: Run  # the one to take home: the best of its seeds, by the rule that orders the entries
    twin: Run | None = None  # of the best run: the same without adaptation
    beside_twin: Pair | None = None  # what the best run's report says of it

    @property
    def name(self) -> str:
        """What the recipe is called."""
        return self.recipe.name

    @property
    def seeds(self) -> int:
        """How many runs it stands for."""
        return len(self.tests)

    @property
    def n(self) -> str:
        """How many unseen images it was tested on; from fewest to most where its runs had other ones each."""
        fewest, most = (end(int(test["n"]) for test in self.tests) for end in (min, max))
        return f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"

    def figure(self, name: str) -> float:
        """Return a figure on the unseen images, such as "accuracy"."""
        return mean(float(test[name]) for test in self.tests)

    def spread(self, name: str) -> Interval:
        """Return the lowest and highest of the seeds' figures; of a single run its 95 % interval."""
        if self.seeds == 1:
            low, high = self.tests[0][f"{name}_ci"] or [self.tests[0][name]] * 2
            return float(low), float(high)
        values = [float(test[name]) for test in self.tests]
        return min(values), max(values)


@dataclass(frozen=True)
class Comparison:
    """What stands side by side. `contest` is None where not all were tested on the same images: nothing is tested then.

    Who leads is asked of `lead.find_lead` alone.
    """

    entries: tuple[Entry, ...]
    classes: tuple[str, ...]
    measure: Measure  # that decides
    contest: Contest | None
    validation: (
        Contest | None
    )  # the same on validation images; None where these differ, or are of another domain
    order: tuple[int, ...]  # entries from best to worst on validation images
    chosen_by: str  # the rule that orders them, in words
    val_rarest: int  # validation images, or groups, that hold the rarest class
    caveats: tuple[str, ...] = ()  # what makes some figures worth less than they look

    @property
    def by_accuracy(self) -> bool:
        """Whether accuracy on validation images orders the entries, and not a rule that looks at the target."""
        return self.chosen_by.startswith(BY_ACCURACY)

    @cached_property
    def pairs(self) -> list[Pair]:
        """Every pair once; none where they cannot be compared."""
        return self.contest.pairs if self.contest else []

    def against(self, entry: int) -> list[Pair]:
        """Return an entry beside every other, in their order."""
        if not self.contest:
            return []
        return [self.contest.pair(entry, each) for each in range(len(self.entries)) if each != entry]

    def interval(self, entry: int, measure: Measure) -> Interval:
        """Return the 95 % interval of an entry's figure; of several seeds, over images and seeds."""
        if self.entries[entry].seeds == 1 or not self.contest:
            return self.entries[entry].spread(measure)
        return self.contest.figure(entry, measure).interval


def tested_key(lab: Lab, run: Run) -> str:
    """Return a text that is the same for runs tested on the same images of the same data set, split by the same rule."""
    split = lab.library.get_split(run.manifest, run.spec.split)
    content = "\n".join([run.manifest, split.rule, *split.part("test")])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def compare(lab: Lab, runs: Sequence[Run]) -> Comparison | None:
    """Return how runs compare that have been measured; None where none has.

    Seeds of one recipe count as one entry. Runs tested on other images, because their splits were drawn with
    other seeds, are put together as a recipe's spread, and nothing is tested.
    """
    splits: dict[str, str] = {}
    for run in runs:
        if run.spec.split not in splits:
            splits[run.spec.split] = tested_key(lab, run)
    measured = [run for run in runs if run.result and lab.tested(run)["n"]]
    if not measured:
        return None
    same = len({splits[run.spec.split] for run in measured}) == 1
    recipes = group_runs(measured, lambda run: splits[run.spec.split] if same else run.manifest)
    if len(recipes) > MOST:
        raise UserError(f"Compare {MOST} at most at a time; these are {len(recipes)}.", "too-many")
    reports = _load(lab, measured)
    first = measured[0]
    split = lab.library.get_split(first.manifest, first.spec.split)
    measure, rate = choose_measure(split), _rule(measured)
    entries = tuple(_make_entry(lab, recipe, reports, rate.better) for recipe in recipes)
    scores = [_mean_key([rate.better(run) for run in entry.recipe.runs]) for entry in entries]
    order = tuple(sorted(range(len(entries)), key=scores.__getitem__, reverse=True))
    where = (
        f" of {split.train_domain or 'the source'}"
        if split.rule == "transfer" and rate.words == BY_ACCURACY
        else ""
    )
    contest = _make_contest(recipes, reports, measure) if same and len(recipes) > 1 else None
    alike = len({run.spec.split for run in measured}) == 1
    validation = _make_contest(recipes, reports, "accuracy", "val") if contest and alike else None
    return Comparison(
        entries=entries, classes=reports[recipes[0].id].manifest.classes, measure=measure, contest=contest,
        validation=validation if split.rule != "transfer" else None, order=order, chosen_by=f"{rate.words}{where}",
        val_rarest=validation.rarest if validation else 0, caveats=_caveats(lab, entries),
    )  # fmt: skip


def _caveats(lab: Lab, entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return what makes figures worth less than they look."""
    first = entries[0].recipe.runs[0]
    split = lab.library.get_split(first.manifest, first.spec.split)
    found = [
        f"{entry.name}: {short[0].lower()}{short[1:]}"
        for entry in entries
        for short in map(cut_short, entry.recipe.runs)
        if short
    ]
    found += filter(None, [on_both_sides(split)])
    return tuple(found)


def _load(lab: Lab, runs: Sequence[Run]) -> dict[str, Report]:
    """Return the reports of runs by id; a data set is read once for each split."""
    manifests = {
        split: lab.spot_check(run).applied(lab.library.get(run.manifest))
        for split, run in {run.spec.split: run for run in runs}.items()
    }
    return {run.id: load_report(lab.store.folder(run.id), manifests[run.spec.split]) for run in runs}


def _images(report: Report, part: str) -> list[str]:
    """Return the labelled images of a part, in a canonical order."""
    return sorted(row.image for row, _, _ in report.rows(part) if row.label is not None)


def _make_contest(
    recipes: Sequence[Recipe], reports: dict[str, Report], measure: Measure, part: str = "test"
) -> Contest | None:
    """Return the contest on the labelled images of a part; None where there are none."""
    first = reports[recipes[0].id]
    images, rows = _images(first, part), first.manifest.by_image
    if not images:
        return None
    numbers = {name: index for index, name in enumerate(first.manifest.classes)}
    truth = np.array([numbers[rows[image].label or ""] for image in images], dtype=np.int64)
    right = [
        np.stack([reports[run.id].predicted(images) == truth for run in recipe.runs]) for recipe in recipes
    ]
    groups = [rows[image].group or image for image in images] if first.grouped else None
    return Contest(truth, right, len(numbers), groups, measure)


def _make_entry(lab: Lab, recipe: Recipe, reports: dict[str, Report], better: Callable[[Run], Key]) -> Entry:
    spec = recipe.spec
    report = reports[recipe.id]
    trained, weights = count_parameters(spec, len(report.manifest.classes))
    n = sum(part == "val" for part in report.parts)
    val = mean(_validation(run, "accuracy") for run in recipe.runs)
    best = max(recipe.runs, key=better)
    return Entry(
        recipe=recipe,
        tests=tuple(lab.tested(run) for run in recipe.runs),
        seconds=mean(float((run.result or {})["seconds"]["train"]) for run in recipe.runs),
        trained=trained,
        megabytes=BYTES * weights / 1e6,
        val=val,
        val_interval=_val_interval([reports[run.id] for run in recipe.runs], val, n),
        val_n=n,
        best_run=best,
        twin=lab.twin(best),
        beside_twin=lab.verdict(best),
    )


def _val_interval(reports: Sequence[Report], val: float, n: int) -> Interval:
    """Return the interval of a validation accuracy, the mean over seeds; by whole groups where the split kept them apart."""
    if all(report.grouped and not report.about.get("asked") for report in reports):
        ends = [report.metrics("val").accuracy_ci for report in reports]
        return mean(low for low, _ in ends), mean(high for _, high in ends)
    return exact(val * n, n)


def _validation(run: Run, name: str) -> float:
    return float((run.result or {}).get("val", {}).get(name, 0.0))


@dataclass(frozen=True)
class _Rule:
    """By what runs are put in order: a key to be made large, and the rule in words."""

    better: Callable[[Run], Key]
    words: str


def _rule(runs: Sequence[Run]) -> _Rule:
    """Return what puts runs in order without a look at the test images.

    Where all epochs were chosen by a rule that looks at the target's unlabelled images, that rule chooses among the
    runs too; else the accuracy on validation images does, then their loss.
    """
    (rule, *others) = {run.spec.select for run in runs}
    if not others and rule != "validation_loss" and all((run.result or {}).get("target") for run in runs):
        return _Rule(lambda run: (-_score(run),), RULES[rule])
    return _Rule(lambda run: (_validation(run, "accuracy"), -_validation(run, "loss")), BY_ACCURACY)


def _mean_key(keys: Sequence[Key]) -> Key:
    return tuple(mean(each) for each in zip(*keys, strict=True))


def _score(run: Run) -> float:
    result = run.result or {}
    return score(run.spec.select, result["val"], result["target"])
