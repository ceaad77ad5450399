"""The commands of `transfer-lab` that set runs side by side: compare, sweep."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from transfer_core.cli_house import Answer, get_lab
from transfer_core.cli_prepare import prepare
from transfer_core.cli_watch import watch
from transfer_core.errors import UserError
from transfer_core.evaluation.words import interval, percent
from transfer_core.runs.lab import Lab, run_object
from transfer_core.terminal import shown, tell

if TYPE_CHECKING:
    from transfer_core.runs.comparison import Comparison


def compare(options: argparse.Namespace) -> Answer:
    """Say which of several runs is better on the same test images, and how surely."""
    from transfer_core.runs.verdicts import comparison_object

    lab = get_lab()
    lab.watcher.sweep(lab.store)
    runs = list({run.id: run for run in map(lab.store.find, options.runs)}.values())
    if len(runs) < 2:
        raise UserError("Name two different runs or more.", "one-run")
    for run in runs:
        if not run.result:
            raise UserError(f"Run {run.id} is {run.state} and has no report yet.", "no-report")
    if len({run.manifest for run in runs}) > 1:
        raise UserError(
            "These runs were tested on images of different data sets: nothing can be set side by side.",
            "other-images",
        )
    found = _compare(lab, [run.id for run in runs])
    if found is None:
        raise UserError(
            "These runs were tested on images without labels: label some of them by hand first.", "no-labels"
        )
    return comparison_object(found), "\n".join(_lines(found)), 0


def _compare(lab: Lab, runs: Sequence[str]) -> Comparison | None:
    from transfer_core.runs.comparison import compare as compare_runs

    return compare_runs(lab, [lab.store.get(run) for run in runs])


def _lines(found: Comparison) -> list[str]:
    from transfer_core.evaluation.pair_words import sentence
    from transfer_core.runs.lead import find_lead
    from transfer_core.runs.lead_words import alone, tell_in_one
    from transfer_core.runs.verdicts import basis

    lines = [*_table(found), ""]
    if not found.contest:
        several = (
            "They were tested on different images: each recipe's spread is shown, and nothing is tested."
        )
        return [
            *lines,
            *found.caveats,
            several if len(found.entries) > 1 else "One recipe alone: there is nothing to compare it with.",
        ]
    names = [f"{number}. {shown(entry.name)}" for number, entry in enumerate(found.entries, start=1)]
    lead = find_lead(found)
    lines.append(tell_in_one(found, lead, names.__getitem__, shown))
    told = lead.ahead if lead.entry is None else lead.entry
    others = [pair for pair in found.pairs if told not in (pair.first, pair.second)]
    lines += [
        f"  {sentence(pair, names[pair.first], names[pair.second])} {shown(alone(found, pair))}".rstrip()
        for pair in [*found.against(told), *others]
    ]
    return [
        *lines,
        basis(found.pairs, once=any(each.seeds == 1 for each in found.entries)),
        *found.caveats,
    ]


def _table(found: Comparison) -> list[str]:
    lines = []
    for index, entry in enumerate(found.entries):
        low, high = found.interval(index, "accuracy")
        seeds = f", {entry.seeds} runs" if entry.seeds > 1 else ""
        how = "lowest to highest" if entry.seeds > 1 and not found.contest else "95 %"
        lines.append(
            f"{index + 1}. {shown(entry.name)}{seeds}: right on {percent(entry.figure('accuracy'))} of {entry.n} "
            f"({how} {interval((low, high))} %), balanced {percent(entry.figure('balanced_accuracy'))}, "
            f"macro-F1 {percent(entry.figure('macro_f1'))}; validation {percent(entry.val)}; {entry.seconds:.0f} s, "
            f"{entry.trained:,} parameters trained, {entry.megabytes:.1f} MB"
        )
    return lines


def sweep(options: argparse.Namespace) -> Answer:
    """Train once for every number of frozen stages, and show what it costs and brings."""
    import uuid

    from transfer_core.runs.series import look_up, start_missing
    from transfer_core.runs.sweep import parse_cuts, sweep_specs

    lab = get_lab()
    if options.cut is not None:
        raise UserError(
            "A sweep takes several numbers of frozen stages: name them with --cuts, or leave it out."
        )
    cuts = parse_cuts(options.cuts)
    manifest, split, wishes = prepare(lab, options, "fine_tuning")
    planned = look_up(lab, manifest, split, sweep_specs(manifest, split, wishes, cuts))
    names = [f"{options.name}, {spec.cut} frozen" for spec in planned.specs] if options.name else []
    runs = [run.id for run in start_missing(lab, planned, uuid.uuid4().hex, names)]
    if planned.done:
        print(f"{len(planned.done)} of {len(runs)} are there already and are used again.", file=sys.stderr)
    if not options.detach:
        for number, run in enumerate(runs, start=1):
            found = lab.store.get(run)
            if found.is_over:
                continue
            tell(f"{number} of {len(runs)}: {found.spec.cut} frozen", sys.stderr)
            if not watch(lab, run):
                data, text = _sweep_answer(lab, runs)
                return data, f"{text}\nThe runs go on by themselves.", 130
    data, text = _sweep_answer(lab, runs)
    bad = any(lab.store.get(run).state in ("failed", "lost") for run in runs)
    return data, text, 1 if bad and not options.detach else 0


def _sweep_answer(lab: Lab, runs: Sequence[str]) -> tuple[dict[str, Any], str]:
    from transfer_core.runs.lead import find_lead
    from transfer_core.runs.lead_words import tell_in_one

    found = [lab.store.get(run) for run in runs]
    done = [run for run in found if run.result]
    side = _compare(lab, [run.id for run in done]) if done else None
    facts = {entry.recipe.id: entry for entry in side.entries} if side else {}
    rows, lines = [], ["frozen  validation  test (95 % interval)     seconds  parameters trained"]
    for run in found:
        row: dict[str, Any] = {"cut": run.spec.cut, "run": run.id, "state": run.state}
        line = f"{run.spec.cut:>6}  {run.state}"
        if entry := facts.get(run.id):
            low, high = entry.spread("accuracy")
            row |= {
                "validation_accuracy": entry.val, "validation_interval": list(entry.val_interval),
                "test_accuracy": entry.figure("accuracy"), "test_interval": [low, high], "n": entry.tests[0]["n"],
                "seconds": entry.seconds, "parameters_trained": entry.trained,
            }  # fmt: skip
            line = (
                f"{run.spec.cut:>6}  {percent(entry.val):>10}  {percent(entry.figure('accuracy')):>6} ({interval((low, high))} %)"
                f"  {entry.seconds:>7.0f}  {entry.trained:>18,}"
            )
        rows.append(row)
        lines.append(line)
    data: dict[str, Any] = {"cuts": rows, "runs": [run_object(lab, run) for run in found]}
    if side and len(facts) > 1:
        lead = find_lead(side)

        def name(entry: int) -> str:
            return f"{side.entries[entry].recipe.spec.cut} frozen"

        data["leader"] = side.entries[lead.entry].recipe.id if lead.leads and lead.entry is not None else None
        data["take"] = lead.run.id if lead.run else None
        data["lead_words"] = tell_in_one(side, lead, name, shown)
        lines.append(data["lead_words"])
    return data, "\n".join(lines)
