"""The command of `transfer-lab` that says what a run's model thinks of images."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from transfer_core.cli_house import Answer, get_lab
from transfer_core.cli_watch import ProgressBar
from transfer_core.errors import UserError
from transfer_core.evaluation.words import percent
from transfer_core.files import atomic_path, usual_files
from transfer_core.terminal import shown


def predict(options: argparse.Namespace) -> Answer:
    """Look at files, folders and zips; return a row for each image and what could not be read."""
    from transfer_core.data.manifest import Problem
    from transfer_core.data.sources import open_source
    from transfer_core.evaluation.in_use import rule_words
    from transfer_core.runs import answers as rows
    from transfer_core.runs.predict_many import Item, predict_many
    from transfer_core.runs.predictor import Predictor

    lab = get_lab()
    run = lab.store.find(options.run)
    predictor = Predictor(lab.store, run)
    decision = lab.decision(run)  # first: where it is damaged, nothing is looked at in vain
    try:
        familiar, silent = lab.familiar(run), ""
    except UserError as error:  # an older run, or too few images: everything else can be told all the same
        familiar, silent = None, str(error)
    items: list[Item] = []
    for path in options.paths:
        try:
            candidates, problems = open_source(Path(path))
        except UserError as error:
            if error.kind != "wrong-type":
                raise
            candidates, problems = [], [Problem(path, "not-an-image", "not an image; left out")]
        items += [*problems, *candidates]
    found: list[rows.Answer] = []
    with ProgressBar("Looking") as bar:
        began = time.monotonic()
        for done, latest in predict_many(predictor, items, familiar, shows=False):
            found += [answer for answer, _ in latest]
            bar.update(done, len(items), left=(len(items) - done) * (time.monotonic() - began) / done)
    verdicts = rows.decide(found, decision, familiar.images if familiar else 0)
    if options.csv:
        with (
            usual_files(),
            atomic_path(Path(options.csv)) as part,
            part.open("w", newline="", encoding="utf-8") as out,
        ):
            rows.write_answers(out, found, verdicts)
    problems_found = [each for each in found if each.problem]
    data: dict[str, Any] = {
        "run": run.id,
        "predictions": [verdicts.to_json(row) for row in range(len(verdicts.answers))],
        "problems": [{"file": e.file, "kind": e.kind, "message": e.problem} for e in problems_found],
        "decision": {"temperature": decision.temperature, "coverage": decision.wishes.coverage,
                     "refer_below": decision.wishes.refer_below, "thresholds": dict(decision.wishes.thresholds),
                     "fitted_on": decision.images, "shifted": decision.shifted},
        "unknown": {"fitted_on": familiar.images if familiar else 0, "why_not": silent},
    }  # fmt: skip
    words = rule_words(decision.wishes)
    lines = [f"Decision in use: {words}."] if words else []
    lines += [_line(verdicts, row) for row in range(len(verdicts.answers))]
    lines += [f"{shown(each.file)}: {each.problem}" for each in problems_found]
    if silent:
        lines.append(f"Images unlike the training images are not told: {silent}")
    if decision.shifted:
        lines.append(
            "The run was tested on another domain than it learnt from: probabilities and sets promise nothing there."
        )
    return data, "\n".join(lines), 0 if verdicts.answers else 2


def _line(verdicts: Any, row: int) -> str:
    told = verdicts.to_json(row)
    line = f"{shown(told['file'])}: {shown(told['class'])} ({percent(told['probabilities'][told['class']])})"
    if len(told["set"]) > 1:
        line += f", could be {' or '.join(map(shown, told['set']))}"
    if told["unknown"]:
        return f"{line}; unlike the training images, so show it to a person"
    return f"{line}; show it to a person" if told["refer"] else line
