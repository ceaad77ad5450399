"""Runs side by side: their figures and costs, who leads on validation images, and what can be said of every pair."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import mean
from typing import Any

import numpy as np

from transfer_core.errors import UserError
from transfer_core.evaluation.contest import Contest, Pair
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

    @property
    def best_run(self) -> Run:
        """The run to take home: the one with the highest validation accuracy."""
        return max(self.recipe.runs, key=lambda run: _validation(run, "accuracy"))


@dataclass(frozen=True)
class Comparison:
    """What stands side by side. `contest` is None where not all were tested on the same images: nothing is tested then."""

    entries: tuple[Entry, ...]
    classes: tuple[str, ...]
    contest: Contest | None
    leader: int
    chosen_by: str  # the rule that names the leader, in words
    caveats: tuple[str, ...] = ()  # what makes some figures worth less than they look

    @property
    def by_accuracy(self) -> bool:
        """Whether accuracy on validation images names the leader, and not a rule that looks at the target."""
        return self.chosen_by.startswith(BY_ACCURACY)

    @property
    def across(self) -> bool:
        """Whether these went from one domain to another."""
        return any(run.spec.target for entry in self.entries for run in entry.recipe.runs)

    @property
    def has_lead(self) -> bool:
        """Whether all were trained on the same splits, so that their figures on validation images stand side by side."""
        splits = {frozenset(run.spec.split for run in each.recipe.runs) for each in self.entries}
        return self.contest is not None or len(splits) == 1

    @cached_property
    def pairs(self) -> list[Pair]:
        """Every pair once; none where they cannot be compared."""
        return self.contest.pairs if self.contest else []

    def against_leader(self) -> list[Pair]:
        """Return the leader beside every other, in the order of the entries."""
        if not self.contest:
            return []
        others = [each for each in range(len(self.entries)) if each != self.leader]
        return [self.contest.pair(self.leader, each) for each in others]

    def interval(self, entry: int) -> Interval:
        """Return the 95 % interval of an entry's accuracy; of several seeds, over images and seeds."""
        single = self.entries[entry].seeds == 1
        if single or not self.contest:
            return self.entries[entry].spread("accuracy")
        return self.contest.accuracy(entry).interval


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
    entries = tuple(_make_entry(lab, recipe, reports) for recipe in recipes)
    leader, rule = _lead(lab, entries)
    contest = _make_contest(recipes, reports) if same and len(recipes) > 1 else None
    told = _caveats(lab, entries)
    return Comparison(entries, reports[recipes[0].id].manifest.classes, contest, leader, rule, told)


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


def _make_contest(recipes: Sequence[Recipe], reports: dict[str, Report]) -> Contest:
    """Return the contest on the labelled test images, in a canonical order."""
    first = reports[recipes[0].id]
    rows = sorted(
        (row for row, _, _ in first.rows("test") if row.label is not None), key=lambda row: row.image
    )
    images = [row.image for row in rows]
    numbers = {name: index for index, name in enumerate(first.manifest.classes)}
    truth = np.array([numbers[row.label or ""] for row in rows], dtype=np.int64)
    right = [
        np.stack([reports[run.id].predicted(images) == truth for run in recipe.runs]) for recipe in recipes
    ]
    groups = [row.group or row.image for row in rows] if first.grouped else None
    return Contest(truth, right, len(numbers), groups)


def _make_entry(lab: Lab, recipe: Recipe, reports: dict[str, Report]) -> Entry:
    spec = recipe.spec
    report = reports[recipe.id]
    trained, weights = count_parameters(spec, len(report.manifest.classes))
    n = sum(part == "val" for part in report.parts)
    val = mean(_validation(run, "accuracy") for run in recipe.runs)
    return Entry(
        recipe=recipe,
        tests=tuple(lab.tested(run) for run in recipe.runs),
        seconds=mean(float((run.result or {})["seconds"]["train"]) for run in recipe.runs),
        trained=trained,
        megabytes=BYTES * weights / 1e6,
        val=val,
        val_interval=_val_interval([reports[run.id] for run in recipe.runs], val, n),
        val_n=n,
    )


def _val_interval(reports: Sequence[Report], val: float, n: int) -> Interval:
    """Return the interval of a validation accuracy, the mean over seeds; by whole groups where the split kept them apart."""
    if all(report.grouped and not report.about.get("asked") for report in reports):
        ends = [report.metrics("val").accuracy_ci for report in reports]
        return mean(low for low, _ in ends), mean(high for _, high in ends)
    return exact(val * n, n)


def _validation(run: Run, name: str) -> float:
    return float((run.result or {}).get("val", {}).get(name, 0.0))


def _lead(lab: Lab, entries: Sequence[Entry]) -> tuple[int, str]:
    """Return the entry that leads without a look at the test images, and by which rule.

    Where all epochs were chosen by a rule that looks at the target's unlabelled images, that rule chooses among the
    runs too; else the accuracy on validation images does, then their loss.
    """
    runs = [run for entry in entries for run in entry.recipe.runs]
    (rule, *others) = {run.spec.select for run in runs}
    if not others and rule != "validation_loss" and all((run.result or {}).get("target") for run in runs):
        scores = [mean(_score(run) for run in entry.recipe.runs) for entry in entries]
        return min(range(len(entries)), key=scores.__getitem__), RULES[rule]
    split = lab.library.get_split(runs[0].manifest, runs[0].spec.split)
    where = f" of {split.train_domain or 'the source'}" if split.rule == "transfer" else ""
    losses = [mean(_validation(run, "loss") for run in entry.recipe.runs) for entry in entries]
    best = max(range(len(entries)), key=lambda each: (entries[each].val, -losses[each]))
    return best, f"{BY_ACCURACY}{where}"


def _score(run: Run) -> float:
    result = run.result or {}
    return score(run.spec.select, result["val"], result["target"])
