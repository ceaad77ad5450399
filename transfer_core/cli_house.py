"""The commands of `transfer-lab` that keep house: delete, rename, weights."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfer_core.cli_watch import ProgressBar
from transfer_core.errors import UserError
from transfer_core.files import get_home
from transfer_core.runs.lab import Lab, run_object
from transfer_core.runs.records import notices
from transfer_core.terminal import shown

if TYPE_CHECKING:
    from transfer_core.runs.housekeeping import Receipt

NAMED = 5  # runs that are called by their names before something is deleted
Answer = tuple[dict[str, Any], str, int]  # (the JSON object, the text for people, exit code)


def get_lab() -> Lab:
    """Return the lab of the home folder; what was damaged and set aside is said on stderr."""
    home = get_home()
    lab = Lab(home)
    for notice in notices(home):
        print(notice, file=sys.stderr)
    return lab


def delete(options: argparse.Namespace) -> Answer:
    """Delete a run, or a data set with all that depends on it, once somebody has agreed to what would go."""
    from transfer_core.runs.housekeeping import (
        delete_dataset,
        delete_run,
        dependents,
        weigh_dataset,
        weigh_run,
    )

    lab = get_lab()
    lab.watcher.sweep(lab.store)
    try:
        run = lab.store.find(options.id)
    except UserError as error:
        if error.kind != "no-run":
            raise
        about = lab.library.find(options.id)
        if not options.yes:
            names = [each.name or each.id for each in dependents(lab.store, about.id)]
            _agree(weigh_dataset(lab.store, lab.library, about.id), names)
        receipt = delete_dataset(lab.store, lab.library, about.id)
    else:
        if not options.yes:
            _agree(weigh_run(lab.store, run))
        receipt = delete_run(lab.store, run.id)
    return asdict(receipt), f"Deleted {shown(receipt.what)}: {receipt}.", 0


def _agree(would_go: Receipt, runs: Sequence[str] = ()) -> None:
    """Ask whether all of this shall go; UserError where the answer is no, or nobody is there to be asked."""
    named = ", ".join(map(shown, runs[:NAMED])) + (", ..." if len(runs) > NAMED else "")
    words = f"{shown(would_go.what)}{named and ' and its runs '}{named}: {would_go}"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        message = f"Nothing was deleted, because nobody can be asked here. It would remove {words}. Add --yes to do so."
        raise UserError(message, "not-confirmed")
    print(f"This removes {words}. Delete all of it? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UserError("Nothing was deleted.", "declined")


def rename(options: argparse.Namespace) -> Answer:
    """Give a run or a data set another name."""
    lab = get_lab()
    try:
        run = lab.store.find(options.id)
    except UserError:
        about = lab.library.find(options.id)
        lab.library.rename(about.id, options.name)
        return (
            {"manifest": about.id, "name": options.name},
            f"Data set {about.id} is now {shown(options.name)}.",
            0,
        )
    lab.store.rename(run.id, name=options.name, note=options.note)
    return run_object(lab, lab.store.get(run.id)), f"Run {run.id} is now {shown(options.name)}.", 0


def weights(options: argparse.Namespace) -> Answer:
    """Download a backbone's weights, or add them from a file."""
    from transfer_core.models.backbones import get_backbone
    from transfer_core.models.weights import add_weights_file, download_weights

    backbone, home = get_backbone(options.backbone), get_home()
    if options.file:
        path, note = add_weights_file(backbone, Path(options.file), home)
    else:
        with ProgressBar(f"Downloading {backbone.title}") as bar:
            path, note = download_weights(backbone, home, bar.update), ""
    return {"backbone": backbone.key, "path": str(path), "note": note}, f"{path}\n{note}".strip(), 0
