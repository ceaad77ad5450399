"""The commands of `transfer-lab` that keep house: delete, rename, weights."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transfer_core.cli_watch import ProgressBar
from transfer_core.errors import UserError
from transfer_core.files import get_home
from transfer_core.runs.lab import Lab, run_object

Answer = tuple[dict[str, Any], str, int]  # (the JSON object, the text for people, exit code)


def get_lab() -> Lab:
    """Return the lab of the home folder."""
    return Lab(get_home())


def delete(options: argparse.Namespace) -> Answer:
    """Delete a run, or a data set with all that depends on it."""
    from transfer_core.runs.housekeeping import delete_dataset, delete_run, dependents

    lab = get_lab()
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
    runs, images = (
        f"{n:,} {what}{'' if n == 1 else 's'}"
        for n, what in ((len(receipt.runs), "run"), (receipt.images, "image"))
    )
    text = f"Deleted {receipt.what}: {runs}, {images}, {receipt.bytes / 1e6:.1f} MB freed."
    return asdict(receipt), text, 0


def rename(options: argparse.Namespace) -> Answer:
    """Give a run or a data set another name."""
    lab = get_lab()
    try:
        run = lab.store.find(options.id)
    except UserError:
        about = lab.library.find(options.id)
        lab.library.rename(about.id, options.name)
        return {"manifest": about.id, "name": options.name}, f"Data set {about.id} is now {options.name}.", 0
    lab.store.rename(run.id, name=options.name, note=options.note)
    return run_object(lab.store, lab.store.get(run.id)), f"Run {run.id} is now {options.name}.", 0


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
