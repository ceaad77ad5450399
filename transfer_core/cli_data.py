"""The commands of `transfer-lab` about data: sample, ingest, datasets, check."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfer_core.cli_house import Answer, get_lab
from transfer_core.cli_watch import ProgressBar
from transfer_core.errors import UserError
from transfer_core.files import plain_words

if TYPE_CHECKING:
    from transfer_core.data.ingest import Candidate
    from transfer_core.data.manifest import Manifest, Problem, Reading


def sample(options: argparse.Namespace) -> Answer:
    """Put sample images into the library."""
    from transfer_core.data.samples import add_solar_cells

    with ProgressBar("Reading images") as bar:
        manifest, problems = add_solar_cells(get_lab().library, bar.update)
    return _dataset_answer(manifest, problems)


def ingest(options: argparse.Namespace) -> Answer:
    """Bring a folder or a zip of images, with what a table or a pattern says of them."""
    from transfer_core.data.manifest import Reading

    library = get_lab().library
    parent = library.get(library.find(options.add_to).id) if options.add_to else None
    if parent and (options.window or options.frames != "first"):
        raise UserError(
            "Images that are added are read as the data set is: leave --window and --frames.", "usage"
        )
    reading = Reading(frames=options.frames)
    if options.window:
        low, high = options.window
        if not low < high:
            raise UserError("--window needs black, then white, the larger one.", "usage")
        reading = Reading("range", low=low, high=high, frames=options.frames)
    return _dataset_answer(*bring(Path(options.path), options, reading, parent))


def bring(
    path: Path,
    options: argparse.Namespace | None = None,
    reading: Reading | None = None,
    parent: Manifest | None = None,
) -> tuple[Manifest, list[Problem]]:
    """Read in a folder, a zip or a file; return the data set and the problems."""
    from transfer_core.data.grouping import group_by_path
    from transfer_core.data.ingest import ingest as take_in
    from transfer_core.data.sources import open_source

    candidates, problems = open_source(path)
    if options and options.labels:
        candidates, more = _with_labels(candidates, options)
        problems = [*problems, *more]
    if options and options.group_from_path:
        candidates = group_by_path(candidates, options.group_from_path)
    library = get_lab().library
    usual = library.version_name(parent.id) if parent else path.resolve().stem
    name = (options and options.name) or usual
    with ProgressBar("Reading images") as bar:
        return take_in(
            candidates,
            name,
            library,
            problems=problems,
            progress=bar.update,
            reading=reading,
            parent=parent,
        )


def _with_labels(
    candidates: list[Candidate], options: argparse.Namespace
) -> tuple[list[Candidate], list[Problem]]:
    from transfer_core.data.label_table import Columns, guess_columns, lay_over, read_table

    path = Path(options.labels)
    if not path.is_file():
        raise UserError(f"There is no file {path}: check the spelling.", "no-such-path")
    with plain_words(path):
        table = read_table(path.read_bytes(), path.name)
    path_column, label_column = options.path_column, options.label_column
    if not (path_column and label_column):
        found = guess_columns(table, candidates)
        path_column, label_column = path_column or found.path, label_column or found.label
    columns = Columns(path_column, label_column, options.domain_column, options.group_column)
    return lay_over(table, columns, candidates)


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


def datasets(options: argparse.Namespace) -> Answer:
    """List the data sets."""
    found = get_lab().library.datasets()
    text = "\n".join(f"{each.id}  {each.images:>7} images  {each.name}" for each in found)
    return {"datasets": [asdict(each) for each in found]}, text or "No data sets yet.", 0


def check(options: argparse.Namespace) -> Answer:
    """Look for what could spoil a classifier or its test."""
    from transfer_core.data.alike import get_alike
    from transfer_core.data.health import finding_object, get_findings, measure_all

    library = get_lab().library
    manifest = library.get(library.find(options.data).id)
    with ProgressBar("Looking at images") as bar:
        measure_all(library, manifest, bar.update)
        get_alike(library, manifest, bar.update)
    findings = [finding_object(each, manifest) for each in get_findings(library, manifest)]
    problems = [asdict(each) for each in library.about(manifest.id).problems]
    lines = [f"{each['message']} (what to do: {' or '.join(each['remedies'])})" for each in findings]
    text = "\n".join(lines) or "Nothing stands out."
    return {"manifest": manifest.id, "findings": findings, "problems": problems}, text, 0
