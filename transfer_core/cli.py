"""Everything the app does, without the app: the command `transfer-lab`.

For people by default, with progress on stderr; with `--json` exactly one JSON object on stdout, also on
failure. Exit codes: 0 success (a run stopped on request is one), 1 run failed or lost, 2 bad
arguments or data, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transfer_core import cli_catalogue, cli_data, cli_house
from transfer_core.cli_house import Answer, get_lab
from transfer_core.cli_options import make_parser
from transfer_core.cli_watch import ProgressBar, watch
from transfer_core.errors import UserError
from transfer_core.runs.lab import Lab, run_object


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    try:
        options = make_parser().parse_args(arguments)
        data, text, code = COMMANDS[options.command](options)
    except UserError as error:
        return _fail(error.kind, str(error), 2, as_json)
    except KeyboardInterrupt:
        return _fail("interrupted", "Interrupted.", 130, as_json)
    except BrokenPipeError:
        return 0
    print(json.dumps(data, ensure_ascii=False, allow_nan=False) if as_json else text)
    return int(code)


def _fail(kind: str, message: str, code: int, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"error": {"kind": kind, "message": message}}, ensure_ascii=False))
    else:
        print(message, file=sys.stderr)
    return code


# -- training -----------------------------------------------------------------------------


def _train(options: argparse.Namespace) -> Answer:
    from transfer_core.data.alike import get_alike
    from transfer_core.data.dismissed import get_held
    from transfer_core.data.split import FRACTIONS, Rule, make_split, usual_rule
    from transfer_core.strategies import TARGET, get_strategy
    from transfer_core.training.rules import make_spec

    lab = get_lab()
    manifest = _find_data(lab, options.data)
    if options.source and not options.target:
        raise UserError("--source needs --target: name the domain to test on.")
    strategy = get_strategy(options.strategy or "feature_extraction")
    adapts = TARGET in strategy.needs
    across: Rule = "transfer" if options.source or adapts else "domain"
    usual, why = usual_rule(manifest)
    rule: Rule = options.split_by or (across if options.target else usual)
    if not options.split_by and not options.target:
        print(f"Split by {rule}: {why}. --split-by takes another rule.", file=sys.stderr)
    with ProgressBar("Looking for look-alikes") as bar:
        get_alike(lab.library, manifest, bar.update)
    alike = get_held(lab.library, manifest)
    split = lab.library.add_split(
        make_split(
            manifest,
            rule,
            fractions=_parse_fractions(options.fractions) if options.fractions else FRACTIONS,
            seed=options.seed,
            test_domain=options.target,
            train_domain=options.source,
            other_classes=strategy.takes_other_classes,
            alike=alike,
        )
    )
    wishes = {name: getattr(options, name) for name in _WISHES} | {"knobs": _parse_settings(options.set)}
    wishes["cache"] = not options.no_cache
    run = lab.start(make_spec(manifest, split, wishes), name=options.name or "")
    return _follow(lab, run.id, options)


_WISHES = (
    "backbone", "strategy", "cut", "epochs", "batch_size", "lr", "augment", "views", "test_views", "size", "geometry",
    "class_weights", "patience", "select", "precision", "device", "source", "target", "seed",
)  # fmt: skip


def _find_data(lab: Lab, ref: str) -> Any:
    """Return the manifest that a path, an id or a name means; a path is brought in first."""
    if Path(ref).exists():
        found = cli_data.bring(Path(ref))
        if found.problems:
            n = len(found.problems)
            what = f"1 problem in {ref}; `transfer-lab ingest` lists it."
            what = what if n == 1 else f"{n:,} problems in {ref}; `transfer-lab ingest` lists them."
            print(what, file=sys.stderr)
        return found.manifest
    return lab.library.get(lab.library.find(ref).id)


def _parse_fractions(text: str) -> list[float]:
    try:
        return [float(each) for each in text.split(",")]
    except ValueError:
        raise UserError(f"--fractions takes three numbers such as 0.6,0.15,0.25, not {text!r}.") from None


def _parse_settings(pairs: Sequence[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise UserError(f"--set takes knob=value, not {pair!r}.")
    return dict(pair.split("=", 1) for pair in pairs)


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
    return _run_answer(lab, run)


def _run_answer(lab: Lab, run: str) -> Answer:
    found = lab.store.get(run)
    data = run_object(lab.store, found)
    lines = [f"run {found.id}  {found.state}  {found.name}"]
    if found.error:
        lines.append(found.error)
    if twin := lab.twin(found):
        data["twin"] = twin.id
    if verdict := lab.verdict(found):
        low, high = verdict.interval
        data["verdict"] = {
            "verdict": verdict.verdict, "harmful": verdict.is_harmful, "balanced_accuracy_gain": verdict.value,
            "interval": [low, high], "n": verdict.n, "resampled": verdict.resampled,
        }  # fmt: skip
        lines.append(
            f"did adaptation help? {verdict.verdict}: balanced accuracy {verdict.value:+.3f} beside the same run "
            f"without it (95 % {low:+.3f} to {high:+.3f})"
        )
    if "test" in data:
        data["labelled_by_hand"] = not data["test"]["n"]
        data["test"] = lab.tested(found)
    if "test" in data and not data["test"]["n"]:
        lines.append("cannot be measured: the unseen images have no labels")
    elif "test" in data:
        test = data["test"]
        low, high = test["accuracy_ci"]
        spread = f"95 % {low:.1%} to {high:.1%}" if low < high else "too few images for an interval"
        lines.append(f"right on {test['accuracy']:.1%} of {test['n']} unseen images ({spread})")
        lines.append(f"balanced accuracy {test['balanced_accuracy']:.3f}, macro-F1 {test['macro_f1']:.3f}")
        lines += [
            f"  {each['class']}: recall {each['recall']:.3f}, precision {each['precision']:.3f}, n {each['support']}"
            for each in test["per_class"]
        ]
        lines.append(f"epoch {data['best_epoch']} of {data['epoch']} chosen by {data['selection_rule']}")
    return data, "\n".join(lines), 1 if found.state in ("failed", "lost") else 0


# -- looking ------------------------------------------------------------------------------


def _runs(options: argparse.Namespace) -> Answer:
    lab = get_lab()
    lab.watcher.sweep(lab.store)
    found = lab.store.runs()
    lines = []
    for run in found:
        measured = run.result and run.result["test"]["n"]
        accuracy = f"{run.result['test']['accuracy']:7.1%}" if run.result and measured else "      -"
        lines.append(f"{run.id}  {run.state:<8} {accuracy}  {run.name}")
    return {"runs": [run_object(lab.store, run) for run in found]}, "\n".join(lines) or "No runs yet.", 0


def _show(options: argparse.Namespace) -> Answer:
    lab = get_lab()
    lab.watcher.sweep(lab.store)
    run = lab.store.find(options.run)
    if options.predictions:
        from transfer_core.evaluation.report import write_csv

        with Path(options.predictions).open("w", newline="", encoding="utf-8") as out:
            write_csv(lab.report(run), out)
    if options.weights:
        from transfer_core.runs.predictor import export_run

        export_run(lab.store, run, Path(options.weights))
    return _run_answer(lab, run.id)


def _stop(options: argparse.Namespace) -> Answer:
    lab = get_lab()
    run = lab.store.find(options.run)
    lab.store.request_stop(run.id)
    watch(lab, run.id, stopping=True)
    return _run_answer(lab, run.id)


def _predict(options: argparse.Namespace) -> Answer:
    from transfer_core.runs.predictor import Predictor

    lab = get_lab()
    run = lab.store.find(options.run)
    predictor = Predictor(lab.store, run)
    answers = [predictor.predict_path(Path(path)) for path in options.paths]
    predictions = [each for found, _ in answers for each in found]
    problems = [each for _, found in answers for each in found]
    if options.csv:
        from transfer_core.runs.predictor import write_predictions

        write_predictions(Path(options.csv), predictions)
    data = {
        "run": run.id,
        "predictions": [each.to_json() for each in predictions],
        "problems": [asdict(each) for each in problems],
    }
    lines = [f"{each.file}: {each.label} ({each.probabilities[each.label]:.1%})" for each in predictions]
    lines += [f"{each.file}: {each.message}" for each in problems]
    return data, "\n".join(lines), 0 if predictions else 2


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
    "predict": _predict,
    "backbones": cli_catalogue.backbones,
    "strategies": cli_catalogue.strategies,
    "delete": cli_house.delete,
    "rename": cli_house.rename,
    "weights": cli_house.weights,
}
