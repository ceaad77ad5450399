"""Everything the app does, without the app: the command `transfer-lab`.

For people by default, with progress on stderr; with `--json` exactly one JSON object on stdout, also on
failure. Exit codes: 0 success (a run stopped on request is one), 1 run failed or lost, 2 bad
arguments or data, 130 interrupted, 141 nobody reads what it says.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from transfer_core import cli_catalogue, cli_compare, cli_data, cli_home, cli_house, cli_predict, cli_results
from transfer_core.cli_house import Answer, get_lab
from transfer_core.cli_options import make_parser
from transfer_core.cli_prepare import prepare
from transfer_core.cli_results import add_verdict, headline_lines
from transfer_core.cli_watch import watch
from transfer_core.errors import UserError
from transfer_core.evaluation.footnotes import footnotes, tell_choice
from transfer_core.evaluation.words import by_hand, percent
from transfer_core.files import private_files, usual_files
from transfer_core.runs.caveats import caveats
from transfer_core.runs.lab import Lab, run_object
from transfer_core.terminal import shown, tell, tell_json

NOBODY_READS = 141  # as a shell says of a program ended by SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    try:
        with private_files():
            code = _run(argv)
        sys.stdout.flush()  # here, where it can still be told that nobody reads on
    except BrokenPipeError:
        _close_stdout()
        return NOBODY_READS
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _close_stdout()
        tell("The disk is full, or that to which the answer goes: make room and run it again.", sys.stderr)
        return 1
    return code


def _close_stdout() -> None:
    """Let nothing more be written: Python flushes once more at its end, which must not fail (its note on SIGPIPE)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(argv: Sequence[str] | None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    try:
        options = make_parser().parse_args(arguments)
        data, text, code = COMMANDS[options.command](options)
    except UserError as error:
        return _fail(error.kind, str(error), 2, as_json)
    except KeyboardInterrupt:
        return _fail("interrupted", "Interrupted.", 130, as_json)
    except OSError as error:
        if error.errno in (errno.EPIPE, errno.ENOSPC) or not error.filename:
            raise
        message = f"{error.filename}: {(error.strerror or str(error)).lower()}. Name another place, or get the right to use this one."
        return _fail("no-access", message, 2, as_json)
    if as_json:
        tell_json(json.dumps(data, ensure_ascii=False, allow_nan=False))
    else:
        tell(text)
    return int(code)


def _fail(kind: str, message: str, code: int, as_json: bool) -> int:
    if as_json:
        tell_json(json.dumps({"error": {"kind": kind, "message": message}}, ensure_ascii=False))
    else:
        tell(message, sys.stderr)
    return code


# -- training -----------------------------------------------------------------------------


def _train(options: argparse.Namespace) -> Answer:
    from transfer_core.training.rules import make_spec

    lab = get_lab()
    manifest, split, wishes = prepare(lab, options, "feature_extraction")
    run = lab.start(make_spec(manifest, split, wishes), name=options.name or "")
    return _follow(lab, run.id, options)


def _resume(options: argparse.Namespace) -> Answer:
    lab = get_lab()
    run = lab.resume(lab.store.find(options.run).id)
    return _follow(lab, run.id, options)


def _follow(lab: Lab, run: str, options: argparse.Namespace) -> Answer:
    """Wait for a run unless asked not to; Ctrl-C once stops it, twice leaves it alone."""
    if options.detach:
        return _run_answer(lab, run)
    twin = lab.twin(lab.store.get(run))
    for each in [run, *([twin.id] if twin else [])]:
        if not watch(lab, each):
            data, text, _ = _run_answer(lab, run)
            return data, f"{text}\nThe run goes on by itself.", 130
        if lab.store.get(run).state == "stopped":  # whoever stops a run does not wait for another
            break
    return _run_answer(lab, run)


def _run_answer(lab: Lab, run: str) -> Answer:
    found = lab.store.get(run)
    data = run_object(lab, found)
    lines = [f"run {found.id}  {found.state}  {shown(found.name)}"]
    if found.error:
        lines.append(found.error)
    if twin := lab.twin(found):
        data |= {"twin": twin.id, "twin_state": twin.state}
        if found.state == "stopped" and not twin.is_over:
            lines.append(
                f"{shown(twin.name)} ({twin.id}) still trains, for comparison: transfer-lab stop {twin.id} ends it."
            )
    add_verdict(lab, found, data, lines)
    if "test" in data and not data["test"]["n"]:
        lines.append("cannot be measured: the unseen images have no labels")
    elif "test" in data:
        test = data["test"]
        lines += headline_lines(test)
        lines += [
            f"  {shown(each['class'])}: recall {percent(each['recall'])}, precision {percent(each['precision'])}, n {each['support']}"
            for each in test["per_class"]
        ]
        lines.append(f"chosen by {tell_choice(data, found.spec.to_json())}")
    if found.result:
        split = lab.library.get_split(found.manifest, found.spec.split)
        data["caveats"] = caveats(found, split)
        lines += data["caveats"]
        lines += footnotes(found.result, found.spec.to_json(), other_classes=bool(split.new_classes))
    return data, "\n".join(lines), 1 if found.state in ("failed", "lost") else 0


# -- looking ------------------------------------------------------------------------------


def _runs(options: argparse.Namespace) -> Answer:
    lab = get_lab()
    lab.watcher.sweep(lab.store)
    found = lab.store.runs()
    lines = []
    for run in found:
        test = lab.tested(run) if run.result else {"n": 0, "accuracy": None}
        note = by_hand(test)
        lines.append(
            f"{run.id}  {run.state:<8} {percent(test['accuracy']):>8}  {shown(run.name)}{note and f' ({note})'}"
        )
    return {"runs": [run_object(lab, run) for run in found]}, "\n".join(lines) or "No runs yet.", 0


def _show(options: argparse.Namespace) -> Answer:
    lab = get_lab()
    lab.watcher.sweep(lab.store)
    run = lab.store.find(options.run)
    if options.predictions:
        from transfer_core.evaluation.report import write_csv

        told, calibration = (
            lab.report(run),
            lab.calibration(run),
        )  # first: without one, what the file held so far stays
        with usual_files(), Path(options.predictions).open("w", newline="", encoding="utf-8") as out:
            write_csv(told, calibration, out)
    if options.weights:
        from transfer_core.runs.predictor import export_run

        with usual_files():
            export_run(lab.store, run, Path(options.weights))
    return _run_answer(lab, run.id)


def _stop(options: argparse.Namespace) -> Answer:
    lab = get_lab()
    run = lab.store.find(options.run)
    twin = lab.stop(run, with_twin=options.with_twin)
    watch(lab, run.id, stopping=True)
    data, text, code = _run_answer(lab, run.id)
    if twin and options.with_twin:
        text += f"\nStopped with it: {shown(twin.name)} ({twin.id})."
    return data | {"twin_stopped": bool(twin and options.with_twin)}, text, code


COMMANDS: dict[str, Callable[[argparse.Namespace], Answer]] = {
    "sample": cli_data.sample,
    "ingest": cli_data.ingest,
    "datasets": cli_data.datasets,
    "check": cli_data.check,
    "train": _train,
    "runs": _runs,
    "show": _show,
    "resume": _resume,
    "stop": _stop,
    "report": cli_results.report,
    "predict": cli_predict.predict,
    "compare": cli_compare.compare,
    "sweep": cli_compare.sweep,
    "backbones": cli_catalogue.backbones,
    "strategies": cli_catalogue.strategies,
    "delete": cli_house.delete,
    "rename": cli_house.rename,
    "weights": cli_house.weights,
    "export": cli_home.export,
    "verify": cli_home.verify,
}
