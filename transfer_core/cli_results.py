"""The commands that tell what a finished run is worth."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from transfer_core.cli_house import Answer, get_lab
from transfer_core.terminal import shown

if TYPE_CHECKING:
    from transfer_core.evaluation.compare import Difference


def report(options: argparse.Namespace) -> Answer:
    """Tell every figure of a run's unseen images."""
    from transfer_core.evaluation.cases import make_cases
    from transfer_core.evaluation.footnotes import footnotes
    from transfer_core.evaluation.in_use import measure, rule_words
    from transfer_core.evaluation.summary import summarise
    from transfer_core.runs.caveats import caveats
    from transfer_core.runs.lab import run_object

    lab = get_lab()
    run = lab.store.find(options.run)
    told, decision = lab.report(run), lab.decision(run)
    in_use = measure(decision, make_cases(told), grouped=told.grouped)
    words = {"words": rule_words(decision.wishes)}
    found = summarise(told, decision) | {"in_use": words | in_use.to_json() if in_use else None}
    lines = _lines(shown(run.name), found)
    if verdict := lab.verdict(run):
        found["verdict"] = verdict_object(verdict)
        lines.append(verdict_line(verdict))
    if run.result:
        split = lab.library.get_split(run.manifest, run.spec.split)
        found["caveats"] = caveats(run, split)
        lines += found["caveats"]
        lines += footnotes(run.result, run.spec.to_json(), other_classes=bool(split.new_classes))
    return run_object(lab.store, run) | found, "\n".join(lines), 0


def verdict_object(verdict: Difference) -> dict[str, Any]:
    """Return as plain data whether adaptation helped."""
    return {
        "verdict": verdict.verdict, "harmful": verdict.is_harmful, "balanced_accuracy_gain": verdict.value,
        "interval": list(verdict.interval), "n": verdict.n, "resampled": verdict.resampled,
    }  # fmt: skip


def verdict_line(verdict: Difference) -> str:
    """Say whether adaptation helped, and how surely."""
    low, high = verdict.interval
    return (
        f"did adaptation help? {verdict.verdict}: balanced accuracy {verdict.value:+.3f} beside the same run "
        f"without it (95 % {low:+.3f} to {high:+.3f})"
    )


def _lines(name: str, found: dict[str, Any]) -> list[str]:
    from transfer_core.evaluation.chance import no_better_than_guessing

    test = found["test"]
    if not test["n"]:
        return [name, "cannot be measured: the unseen images have no labels"]
    lines = [
        name,
        f"n {test['n']}, intervals by {test['resampled']}",
        *(
            f"{key:<18} {_figure(test, key)}"
            for key in ("accuracy", "balanced_accuracy", "macro_f1", "kappa")
        ),
    ]
    if guessed := no_better_than_guessing(test):
        lines.append(guessed)
    if in_use := found["in_use"]:
        lines.append(_with_decision(in_use))
    for each in test["per_class"]:
        area = found["ranking"][each["class"]]["roc_area"]
        ranks = "" if area is None else f", ROC area {area:.3f}"
        lines.append(
            f"  {shown(each['class'])}: recall {_figure(each, 'recall')}, precision {_figure(each, 'precision')}, "
            f"specificity {_figure(each, 'specificity')}, F1 {_figure(each, 'f1')}{ranks}, n {each['support']}"
        )
    lines += [
        f"  domain {shown(name)}: {_figure(each, 'accuracy')}, n {each['n']}"
        for name, each in found["domains"].items()
    ]
    worse = [part["name"] for part in found["groups"] if part["is_worse"]]
    if worse:
        lines.append(f"  groups that do worse than chance explains: {', '.join(map(shown, worse))}")
    told, sets = found["calibration"], found["sets"]
    lines.append(
        f"calibration error {told['error_before']:.3f}, with temperature {told['temperature']:.2f} {told['error_after']:.3f}"
    )
    lines.append(
        f"prediction sets hold the true class in {sets['held']:.1%} (asked {sets['asked']:.0%}), {sets['mean_size']:.2f} classes each"
    )
    if sets["shifted"]:
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


def _figure(data: dict[str, Any], key: str) -> str:
    low, high = data[f"{key}_ci"]
    return f"{data[key]:.3f} ({low:.3f} to {high:.3f})"
