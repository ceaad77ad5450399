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
from typing import Any, NoReturn

from transfer_core.cli_watch import ProgressBar, watch
from transfer_core.errors import UserError
from transfer_core.files import get_home
from transfer_core.runs.lab import Lab, run_object

Answer = tuple[dict[str, Any], str, int]  # (the JSON object, the text for people, exit code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    try:
        options = _make_parser().parse_args(arguments)
        data, text, code = options.do(options)
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


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see {self.prog} --help)", "usage")


# -- data ---------------------------------------------------------------------------------


def _sample(options: argparse.Namespace) -> Answer:
    from transfer_core.data.samples import add_solar_cells

    with ProgressBar("Reading images") as bar:
        manifest, problems = add_solar_cells(_lab().library, bar.update)
    return _dataset_answer(manifest, problems)


def _ingest(options: argparse.Namespace) -> Answer:
    return _dataset_answer(*_bring(Path(options.path), options.name))


def _bring(path: Path, name: str | None) -> tuple[Any, Any]:
    from transfer_core.data.ingest import ingest
    from transfer_core.data.sources import open_source

    candidates, problems = open_source(path)
    with ProgressBar("Reading images") as bar:
        chosen = name or path.resolve().stem
        return ingest(candidates, chosen, _lab().library, problems=problems, progress=bar.update)


def _dataset_answer(manifest: Any, problems: Any) -> Answer:
    data = {
        "manifest": manifest.id,
        "name": manifest.name,
        "images": len(manifest.rows),
        "classes": list(manifest.classes),
        "domains": manifest.domains,
        "problems": [asdict(each) for each in problems],
    }
    lines = [f"{manifest.name}: {len(manifest.rows)} images, data set {manifest.id}"]
    lines += [f"  {name}: {n}" for name, n in manifest.class_counts.items()]
    lines += [f"  problem: {each.file}: {each.message}" for each in problems[:20]]
    if len(problems) > 20:
        lines.append(f"  and {len(problems) - 20} more problems (--json lists all)")
    return data, "\n".join(lines), 0


def _datasets(options: argparse.Namespace) -> Answer:
    found = _lab().library.datasets()
    text = "\n".join(f"{each.id}  {each.images:>7} images  {each.name}" for each in found)
    return {"datasets": [asdict(each) for each in found]}, text or "No data sets yet.", 0


# -- training -----------------------------------------------------------------------------


def _train(options: argparse.Namespace) -> Answer:
    from transfer_core.data.split import FRACTIONS, Rule, make_split
    from transfer_core.training.rules import make_spec

    lab = _lab()
    manifest = _find_data(lab, options.data)
    rule: Rule = options.split_by or ("domain" if options.target else "image")
    split = lab.library.add_split(
        make_split(
            manifest,
            rule,
            fractions=_parse_fractions(options.fractions) if options.fractions else FRACTIONS,
            seed=options.seed,
            test_domain=options.target,
            train_domain=options.source,
        )
    )
    wishes = {name: getattr(options, name) for name in _WISHES} | {"knobs": _parse_settings(options.set)}
    wishes["cache"] = not options.no_cache
    run = lab.start(make_spec(manifest, split, wishes), name=options.name or "")
    return _follow(lab, run.id, options)


_WISHES = (
    "backbone", "strategy", "cut", "epochs", "batch_size", "lr", "augment", "views", "geometry",
    "class_weights", "patience", "precision", "device", "source", "target", "seed",
)  # fmt: skip


def _find_data(lab: Lab, ref: str) -> Any:
    """Return the manifest that a path, an id or a name means; a path is brought in first."""
    if Path(ref).exists():
        manifest, problems = _bring(Path(ref), None)
        if problems:
            print(f"{len(problems)} problem(s) in {ref}; `transfer-lab ingest` lists them.", file=sys.stderr)
        return manifest
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
    lab = _lab()
    run = lab.resume(lab.store.find(options.run).id)
    return _follow(lab, run.id, options)


def _follow(lab: Lab, run: str, options: argparse.Namespace) -> Answer:
    """Wait for a run unless asked not to; Ctrl-C once stops it, twice leaves it alone."""
    if options.detach:
        return _run_answer(lab, run)
    if not watch(lab, run):
        data, text, _ = _run_answer(lab, run)
        return data, f"{text}\nThe run goes on by itself.", 130
    return _run_answer(lab, run)


def _run_answer(lab: Lab, run: str) -> Answer:
    found = lab.store.get(run)
    data = run_object(lab.store, found)
    lines = [f"run {found.id}  {found.state}  {found.name}"]
    if found.error:
        lines.append(found.error)
    if "test" in data:
        test = data["test"]
        low, high = test["accuracy_ci"]
        lines.append(
            f"right on {test['accuracy']:.1%} of {test['n']} unseen images (95 % {low:.1%} to {high:.1%})"
        )
        lines.append(f"balanced accuracy {test['balanced_accuracy']:.3f}, macro-F1 {test['macro_f1']:.3f}")
        lines += [
            f"  {each['class']}: recall {each['recall']:.3f}, precision {each['precision']:.3f}, n {each['support']}"
            for each in test["per_class"]
        ]
        lines.append(f"epoch {data['best_epoch']} of {data['epoch']} chosen by {data['selection_rule']}")
    return data, "\n".join(lines), 1 if found.state in ("failed", "lost") else 0


# -- looking ------------------------------------------------------------------------------


def _runs(options: argparse.Namespace) -> Answer:
    lab = _lab()
    lab.watcher.sweep(lab.store)
    found = lab.store.runs()
    lines = []
    for run in found:
        accuracy = f"{run.result['test']['accuracy']:7.1%}" if run.result else "      -"
        lines.append(f"{run.id}  {run.state:<8} {accuracy}  {run.name}")
    return {"runs": [run_object(lab.store, run) for run in found]}, "\n".join(lines) or "No runs yet.", 0


def _show(options: argparse.Namespace) -> Answer:
    lab = _lab()
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
    lab = _lab()
    run = lab.store.find(options.run)
    lab.store.request_stop(run.id)
    watch(lab, run.id, stopping=True)
    return _run_answer(lab, run.id)


def _predict(options: argparse.Namespace) -> Answer:
    from transfer_core.runs.predictor import Predictor

    lab = _lab()
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


def _backbones(options: argparse.Namespace) -> Answer:
    from transfer_core.models.backbones import BACKBONES
    from transfer_core.models.weights import find_weights

    home = get_home()
    rows = []
    for each in BACKBONES:
        facts = asdict(each) | {"parameters": each.parameters, "gflops": each.gflops}
        rows.append(facts | {"here": find_weights(each, home) is not None})
    lines = [
        f"{row['key']:<20}{row['parameters'] / 1e6:7.1f} M{row['gflops']:7.2f} GFLOPs{row['top1']:7.1f} %  "
        f"{'here' if row['here'] else 'not here'}"
        for row in rows
    ]
    return {"backbones": rows}, "\n".join(lines), 0


def _strategies(options: argparse.Namespace) -> Answer:
    from transfer_core.knobs import get_knobs
    from transfer_core.strategies import STRATEGIES

    rows: list[dict[str, Any]] = []
    lines = []
    for each in STRATEGIES:
        knobs = [asdict(knob) | {"type": knob.type.__name__} for knob in get_knobs(each)]
        rows.append(
            {
                "name": each.name,
                "title": each.title,
                "about": each.about,
                "needs": list(each.needs),
                "knobs": knobs,
            }
        )
        lines += [f"{each.name}: {each.about}"]
        lines += [f"  --set {knob['name']}={knob['default']}  {knob['help']}" for knob in knobs]
    return {"strategies": rows}, "\n".join(lines), 0


# -- keeping house ------------------------------------------------------------------------


def _delete(options: argparse.Namespace) -> Answer:
    from transfer_core.runs.housekeeping import delete_dataset, delete_run, dependents

    lab = _lab()
    lab.watcher.sweep(lab.store)
    try:
        receipt = delete_run(lab.store, lab.store.find(options.id).id)
    except UserError as error:
        if error.kind != "no-run":
            raise
        about = lab.library.find(options.id)
        names = ", ".join(run.name or run.id for run in dependents(lab.store, about.id))
        if names and not options.yes and sys.stdin.isatty():
            answer = input(f"{about.name} goes with its runs: {names}. Delete all of it? [y/N] ")
            if answer.strip().lower() not in ("y", "yes"):
                raise UserError("Nothing was deleted.", "declined") from None
        receipt = delete_dataset(lab.store, lab.library, about.id)
    text = f"Deleted {receipt.what}: {len(receipt.runs)} run(s), {receipt.images} image(s), {receipt.bytes / 1e6:.1f} MB freed."
    return asdict(receipt), text, 0


def _rename(options: argparse.Namespace) -> Answer:
    lab = _lab()
    try:
        run = lab.store.find(options.id)
    except UserError:
        about = lab.library.find(options.id)
        lab.library.rename(about.id, options.name)
        return {"manifest": about.id, "name": options.name}, f"Data set {about.id} is now {options.name}.", 0
    lab.store.rename(run.id, name=options.name, note=options.note)
    return run_object(lab.store, lab.store.get(run.id)), f"Run {run.id} is now {options.name}.", 0


def _weights(options: argparse.Namespace) -> Answer:
    from transfer_core.models.backbones import get_backbone
    from transfer_core.models.weights import add_weights_file, download_weights

    backbone, home = get_backbone(options.backbone), get_home()
    if options.file:
        path, note = add_weights_file(backbone, Path(options.file), home)
    else:
        with ProgressBar(f"Downloading {backbone.title}") as bar:
            path, note = download_weights(backbone, home, bar.update), ""
    return {"backbone": backbone.key, "path": str(path), "note": note}, f"{path}\n{note}".strip(), 0


def _lab() -> Lab:
    return Lab(get_home())


# -- the parser ---------------------------------------------------------------------------


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="transfer-lab", description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)

    def add(name: str, do: Callable[[argparse.Namespace], Answer], about: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=about, description=about)
        command.add_argument("--json", action="store_true", help="print one JSON object on stdout")
        command.set_defaults(do=do)
        return command

    add("sample", _sample, "put sample images into the library").add_argument("set", choices=["solar-cells"])
    ingest = add("ingest", _ingest, "bring a folder or a zip of images")
    ingest.add_argument("path")
    ingest.add_argument("--name")
    add("datasets", _datasets, "list the data sets")
    _add_train_options(add("train", _train, "train a classifier and wait for it"))
    add("runs", _runs, "list the runs, newest first")
    show = add("show", _show, "show a run")
    show.add_argument("run")
    show.add_argument("--predictions", metavar="FILE.csv", help="write one row per image")
    show.add_argument("--weights", metavar="FILE.safetensors", help="write the chosen weights")
    resume = add("resume", _resume, "let a stopped, failed or lost run go on")
    resume.add_argument("run")
    resume.add_argument("--detach", action="store_true", help="return at once")
    add("stop", _stop, "stop a run and keep its best epoch").add_argument("run")
    predict = add("predict", _predict, "say what a run's model thinks of images")
    predict.add_argument("run")
    predict.add_argument("paths", nargs="+")
    predict.add_argument("--csv", metavar="FILE")
    add("backbones", _backbones, "list the backbones")
    add("strategies", _strategies, "list the strategies and their knobs")
    delete = add("delete", _delete, "delete a run or a data set with all that depends on it")
    delete.add_argument("id")
    delete.add_argument("--yes", action="store_true", help="do not ask")
    rename = add("rename", _rename, "give a run or a data set another name")
    rename.add_argument("id")
    rename.add_argument("name")
    rename.add_argument("--note", help="a remark kept with the run")
    weights = add("weights", _weights, "download a backbone's weights, or add them from a file")
    weights.add_argument("backbone")
    weights.add_argument("--file", help="a .safetensors or .pth file")
    return parser


def _add_train_options(train: argparse.ArgumentParser) -> None:
    add = train.add_argument
    add("--data", required=True, help="id, name or path of a data set")
    add("--backbone", help="see `transfer-lab backbones`")
    add("--strategy", help="see `transfer-lab strategies`")
    add("--cut", type=int, help="how many stages stay frozen")
    add("--epochs", type=int)
    add("--batch-size", type=int)
    add("--lr", type=float)
    add("--split-by", choices=["image", "group", "domain", "given"])
    add("--fractions", metavar="A,B,C", help="shares of training, validation and test")
    add("--source", help="domain to train on")
    add("--target", help="domain to test on")
    add("--seed", type=int, default=0)
    add("--augment", help="none, mirror, flips, turns or light")
    add("--views", type=int, help="stored views per image; 0: fresh ones each epoch")
    add("--geometry", help="whole, pad or centre")
    add("--class-weights", choices=["none", "balanced"])
    add("--patience", type=int, help="epochs without improvement after which to end; 0: never")
    add("--precision", help="auto, fp32 or mixed")
    add("--no-cache", action="store_true")
    add("--set", action="append", default=[], metavar="KNOB=VALUE")
    add("--device", help="auto, cpu, cuda or mps")
    add("--name", help="what to call the run")
    add("--detach", action="store_true", help="return at once")
