"""The commands that tell what a finished run is worth."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from transfer_core.cli_house import Answer, get_lab
from transfer_core.errors import UserError
from transfer_core.evaluation.words import (
    NOTHING,
    between,
    by_hand,
    coefficient,
    interval,
    percent,
    undefined,
)
from transfer_core.terminal import shown

if TYPE_CHECKING:
    from transfer_core.runs.lab import Lab
    from transfer_core.runs.run import Run


def report(options: argparse.Namespace) -> Answer:
    """Tell every figure of a run's unseen images."""
    from transfer_core.evaluation.footnotes import footnotes
    from transfer_core.evaluation.summary import summarise
    from transfer_core.runs.caveats import caveats
    from transfer_core.runs.lab import run_object

    lab = get_lab()
    run = lab.store.find(options.run)
    told = lab.report(run)
    try:
        found, damage = summarise(told, lab.decision(run)), []
    except UserError as damaged:  # what somebody wished is not known, and all the rest is
        found, damage = summarise(told, lab.calibration(run)), [str(damaged)]
        found |= dict.fromkeys(("in_use", "sets", "decision"))
    found |= {"test": lab.tested(run)}
    lines = _lines(shown(run.name), found)
    add_verdict(lab, run, found, lines)
    if run.result:
        split = lab.library.get_split(run.manifest, run.spec.split)
        found["caveats"] = [*damage, *caveats(run, split)]
        lines += found["caveats"]
        lines += footnotes(run.result, run.spec.to_json(), other_classes=bool(split.new_classes))
    return run_object(lab, run) | found, "\n".join(lines), 0


def add_verdict(lab: Lab, run: Run, data: dict[str, Any], lines: list[str]) -> None:
    """Add to an answer whether adaptation helped, and how surely, where that is known."""
    from transfer_core.evaluation.pair_words import beside_twin, resampled
    from transfer_core.runs.caveats import compared_as_they_stand, no_twin, without

    if not (pair := lab.verdict(run)):
        if lab.diverged_twin(run):
            lines.append(f"did {without(run)} help? {no_twin(run)}")
        return
    what = without(run)
    short = compared_as_they_stand(run, lab.twin(run))
    data["verdict"] = {
        "verdict": pair.verdict, "harmful": pair.is_harmful, "measure": pair.measure, "gain": pair.gap.value,
        "interval": list(pair.gap.interval), "n": pair.n, "units": pair.units, "resampled": resampled(pair),
        "words": beside_twin(pair, what), "cut_short": short,
    }  # fmt: skip
    lines.append(" ".join([f"did {what} help? {pair.verdict}: {beside_twin(pair, what)}", *short]))


def headline_lines(test: Mapping[str, Any]) -> list[str]:
    """Return the figures of all unseen images; `test` as `Lab.tested`."""
    note = by_hand(test)
    return [
        f"right on {percent(test['accuracy'])} of {test['n']:,} unseen images ({between(test['accuracy_ci'])})"
        f"{note and f'; {note}'}",
        f"balanced accuracy {_figure(test, 'balanced_accuracy')}, macro-F1 {_figure(test, 'macro_f1')}",
    ]


def _lines(name: str, found: dict[str, Any]) -> list[str]:
    from transfer_core.evaluation.chance import no_better_than_guessing

    test = found["test"]
    if not test["n"]:
        return [name, "cannot be measured: the unseen images have no labels"]
    lines = [
        name,
        *headline_lines(test),
        f"kappa {coefficient(test.get('kappa'), test.get('kappa_ci'))}; intervals by {test['resampled']}",
    ]
    if guessed := no_better_than_guessing(test):
        lines.append(guessed)
    if in_use := found["in_use"]:
        lines.append(_with_decision(in_use))
    for each in test["per_class"]:
        area = found["ranking"][each["class"]]["roc_area"]
        ranks = "" if area is None else f", ROC area {area:.3f}"
        rates = {"recall": "recall", "precision": "precision", "specificity": "specificity", "f1": "F1"}
        told = ", ".join(f"{word} {_figure(each, key)}" for key, word in rates.items() if key in each)
        lines.append(f"  {shown(each['class'])}: {told}{ranks}, n {each['support']}")
    lines += [f"  {shown(each)}" for each in undefined(test)]
    lines += [
        f"  domain {shown(name)}: {_figure(each, 'accuracy')}, n {each['n']}"
        for name, each in found["domains"].items()
    ]
    worse = [part["name"] for part in found["groups"] if part["is_worse"]]
    if worse:
        lines.append(f"  groups that do worse than chance explains: {', '.join(map(shown, worse))}")
    scaled = found["calibration"]
    lines.append(
        f"calibration error {100 * scaled['error_before']:.1f} points, with temperature {scaled['temperature']:.2f} "
        f"{100 * scaled['error_after']:.1f} points"
    )
    if sets := found["sets"]:
        lines.append(
            f"prediction sets hold the true class in {percent(sets['held'])} ({between(sets['held_ci'])}; asked {percent(sets['asked'], 0)}), {sets['mean_size']:.2f} classes each"
        )
    if sets and sets["shifted"]:
        lines.append("the unseen images are of another domain: probabilities and sets promise nothing there")
    return lines


def _with_decision(in_use: dict[str, Any]) -> str:
    """Return how often the decision in use is right; the figures around it are of the likeliest class."""
    line = f"with the decision in use ({in_use['words']}): accuracy {_figure(in_use, 'accuracy')}, n {in_use['n']}"
    if in_use["referred"]:
        line += f"; {in_use['referred']} to a person"
    if rest := in_use["rest"]:
        line += f", of the others {_figure(rest, 'accuracy')}, n {rest['n']}"
    return f"{line}; all other figures are of the likeliest class"


def _figure(data: Mapping[str, Any], key: str) -> str:
    ends = interval(data[f"{key}_ci"])
    return percent(data[key]) if ends == NOTHING else f"{percent(data[key])} ({ends} %)"
