"""The commands of `transfer-lab` and their options."""

from __future__ import annotations

import argparse
from typing import NoReturn

from transfer_core.errors import UserError


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see {self.prog} --help)", "usage")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; a wrong argument raises UserError instead of ending the process."""
    parser = _Parser(prog="transfer-lab", description="Everything the app does, without the app.")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)

    def add(name: str, about: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=about, description=about)
        command.add_argument("--json", action="store_true", help="print one JSON object on stdout")
        return command

    add("sample", "put sample images into the library").add_argument("set", choices=["solar-cells"])
    ingest = add("ingest", "bring a folder or a zip of images")
    ingest.add_argument("path")
    ingest.add_argument("--name")
    ingest.add_argument(
        "--labels",
        metavar="FILE.csv",
        help="a table that names file and class; looked for here, then in the folder",
    )
    ingest.add_argument(
        "--path-column", metavar="NAME", help="its column of file names; found out if not given"
    )
    ingest.add_argument(
        "--label-column", metavar="NAME", help="its column of classes; found out if not given"
    )
    ingest.add_argument(
        "--domain-column",
        metavar="NAME",
        help="its column of sites or devices; found out by its name if not given, '' for none",
    )
    ingest.add_argument(
        "--group-column",
        metavar="NAME",
        help="its column of patients or parts; found out by its name if not given, '' for none",
    )
    ingest.add_argument(
        "--extra-column",
        metavar="NAME",
        action="append",
        help="a further column to keep as a label of its own, may be given several times; those that look like "
        "labels if not given",
    )
    ingest.add_argument(
        "--group-from-path",
        metavar="REGEX",
        help="its first bracket, in each path, names the group; it stays readable, persons' names too",
    )
    ingest.add_argument(
        "--add-to", metavar="ID", help="make a new version of this data set, with these images too"
    )
    ingest.add_argument("--window", nargs=2, type=float, metavar=("LOW", "HIGH"),
                        help="what is black and what is white in images of more than 8 bits")  # fmt: skip
    ingest.add_argument("--frames", choices=["first", "each"], default="first", help="of files with several")
    add("datasets", "list the data sets")
    add("check", "look for what could spoil a classifier or its test").add_argument("data")
    _add_train_options(add("train", "train a classifier and wait for it"))
    add("runs", "list the runs, newest first")
    show = add("show", "show a run")
    show.add_argument("run")
    show.add_argument("--predictions", metavar="FILE.csv", help="write one row per image")
    show.add_argument("--weights", metavar="FILE.safetensors", help="write the chosen weights")
    resume = add("resume", "let a stopped, failed or lost run go on")
    resume.add_argument("run")
    resume.add_argument("--detach", action="store_true", help="return at once")
    stop = add("stop", "stop a run and keep its best epoch")
    stop.add_argument("run")
    stop.add_argument(
        "--with-twin",
        action="store_true",
        help="also the same run without adaptation that waits for it alone (kept without this)",
    )
    add("report", "tell every figure of a run's unseen images").add_argument("run")
    predict = add("predict", "say what a run's model thinks of images")
    predict.add_argument("run")
    predict.add_argument("paths", nargs="+", help="images, folders or zips")
    predict.add_argument("--csv", metavar="FILE", help="write one row per image")
    _add_export_options(add("export", "write a run's model, report and self-test into a folder"))
    add("verify", "check a bundle that `export` wrote").add_argument("folder")
    compare = add("compare", "say which of several runs is better on the same test images")
    compare.add_argument("runs", nargs="+", metavar="RUN")
    sweep = add("sweep", "train once for every number of frozen stages")
    sweep.add_argument(
        "--cuts", default="all", help="numbers of frozen stages such as 0,3,5; all if not given"
    )
    _add_train_options(sweep)
    add("backbones", "list the backbones")
    add("strategies", "list the strategies and their knobs")
    delete = add("delete", "delete a run or a data set with all that depends on it")
    delete.add_argument("id")
    delete.add_argument("--yes", action="store_true", help="do not ask")
    rename = add("rename", "give a run or a data set another name")
    rename.add_argument("id")
    rename.add_argument("name")
    rename.add_argument("--note", help="a remark kept with the run")
    weights = add("weights", "download a backbone's weights, or add them from a file")
    weights.add_argument("backbone")
    weights.add_argument("--file", help="a .safetensors or .pth file")
    return parser


def _add_export_options(export: argparse.ArgumentParser) -> None:
    add = export.add_argument
    add("run")
    add("--to", required=True, metavar="DIR", help="a new or empty folder, or an older bundle")
    add("--images", action="store_true", help="put up to 8 test images in, for the self-test")
    add("--names", action="store_true", help="keep file and group names in the table of predictions")
    add("--int8", action="store_true", help="add a smaller model in 8-bit integers, and measure it")


def _add_train_options(train: argparse.ArgumentParser) -> None:
    add = train.add_argument
    add("--data", required=True, help="id, name or path of a data set")
    add("--backbone", help="see `transfer-lab backbones`")
    add("--strategy", help="see `transfer-lab strategies`")
    add("--cut", type=int, help="how many stages stay frozen")
    add("--epochs", type=int)
    add("--batch-size", type=int)
    add("--lr", type=float)
    add(
        "--split-by",
        choices=["image", "group", "domain", "given", "transfer"],
        help="usually as given, else by group where at least half of the images name one, else by image",
    )
    add("--fractions", metavar="A,B,C", help="shares of training, validation and test")
    add("--source", help="domain to train on")
    add("--target", help="domain to test on")
    add("--seed", type=int, default=0)
    add("--augment", help="none, mirror, flips, turns, light, safe, strong, randaugment, mixup or cutmix")
    add("--views", type=int, help="stored views per image; 0: fresh ones each epoch")
    add(
        "--test-views",
        action="store_true",
        default=None,
        help="test and predict with the mean over all mirrored and turned views",
    )
    add("--size", type=int, help="side in pixels at which images enter the network, a multiple of 32")
    add("--geometry", help="whole, pad or centre")
    add("--class-weights", choices=["none", "balanced"])
    add(
        "--label-confidence",
        metavar="NAME",
        help="further label from 0 to 1: how likely an image's label is right",
    )
    add("--mixing", type=float, help="alpha by which activations are mixed at the freeze point; 0: not")
    add("--networks", type=int, help="how many are trained, whose mean probability counts (an ensemble)")
    add("--patience", type=int, help="epochs without improvement after which to end; 0: never")
    add("--select", help="what decides which epoch is kept: validation_loss, combined, ...")
    add("--precision", help="auto, fp32 or mixed")
    add("--no-cache", action="store_true")
    add("--set", action="append", default=[], metavar="KNOB=VALUE")
    add("--device", help="auto, cpu, cuda or mps")
    add("--name", help="what to call the run")
    add("--detach", action="store_true", help="return at once")
