"""The commands of `transfer-lab` about data: sample, ingest, datasets, check."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_core.cli_house import Answer, get_lab
from transfer_core.cli_watch import ProgressBar
from transfer_core.errors import UserError
from transfer_core.files import plain_words
from transfer_core.terminal import shown, tell

if TYPE_CHECKING:
    from transfer_core.data.ingest import Candidate
    from transfer_core.data.label_table import Columns
    from transfer_core.data.manifest import Manifest, Problem, Reading


def sample(options: argparse.Namespace) -> Answer:
    """Put sample images into the library."""
    from transfer_core.data.samples import add_solar_cells

    library = get_lab().library
    before = {each.id for each in library.datasets()}
    with ProgressBar("Reading images") as bar:
        manifest, problems = add_solar_cells(library, bar.update)
    return _dataset_answer(Brought(manifest, problems, already=manifest.id in before))


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
    return _dataset_answer(bring(Path(options.path), options, reading, parent))


@dataclass(frozen=True)
class Brought:
    """What came of a folder, a zip or a file. `already`: the same images and labels were here before, under this name."""

    manifest: Manifest
    problems: list[Problem]
    columns: Columns | None = None
    already: bool = False


def bring(
    path: Path,
    options: argparse.Namespace | None = None,
    reading: Reading | None = None,
    parent: Manifest | None = None,
) -> Brought:
    """Read in a folder, a zip or a file; return the data set, the problems, and what a table's columns were taken for."""
    from transfer_core.data.adding import fit_in
    from transfer_core.data.grouping import group_by_path
    from transfer_core.data.ingest import ingest as take_in
    from transfer_core.data.sources import open_source

    library = get_lab().library
    candidates, problems = open_source(path, parent)
    columns = None
    if options and options.labels:
        used = _find_table(options.labels, path)
        candidates, more, columns = _with_labels(candidates, options, used)
        problems = [
            each
            for each in problems
            if each.kind != "table" or (path / each.file).resolve() != used.resolve()
        ]
        problems = [*problems, *more]
    else:
        problems = _hint_at_tables(path, problems)
    pattern = (options and options.group_from_path) or ""
    if pattern:
        candidates = group_by_path(candidates, pattern)
    if parent:
        candidates, more = fit_in(candidates, parent, library)
        problems = [*problems, *more]
    usual = library.version_name(parent.id) if parent else path.resolve().stem
    name = (options and options.name) or usual
    before = {each.id for each in library.datasets()}
    with ProgressBar("Reading images") as bar:
        manifest, problems = take_in(
            candidates,
            name,
            library,
            problems=problems,
            progress=bar.update,
            reading=reading,
            parent=parent,
            group_pattern=pattern,
        )
    return Brought(manifest, problems, columns, manifest.id in before)


def _hint_at_tables(path: Path, problems: list[Problem]) -> list[Problem]:
    """Say of tables that nobody asked for how to use them, there and on stderr: without it the classes may be wrong."""
    found = []
    for each in problems:
        if each.kind == "table":
            there = f" {shlex.quote(str(path / each.file))}" if path.is_dir() else ", once unpacked"
            each = replace(each, message=f"a table that was not used; if it names classes: --labels{there}")
            tell(f"{shown(each.file)}: {shown(each.message)}", sys.stderr)
        found.append(each)
    return found


def _find_table(name: str, folder: Path) -> Path:
    """Return where the table of labels is: as named from here, else in the folder that is brought."""
    for path in (Path(name), folder / name):
        if path.is_file():
            return path
    where = f", neither here nor in {folder}" if folder.is_dir() else ""
    raise UserError(f"There is no file {name}{where}: check the spelling.", "no-such-path")


def _with_labels(
    candidates: list[Candidate], options: argparse.Namespace, path: Path
) -> tuple[list[Candidate], list[Problem], Columns]:
    from transfer_core.data.label_table import (
        guess_columns,
        lay_over,
        read_table,
        settle,
    )

    with plain_words(path):
        table = read_table(path.read_bytes(), path.name)
    group = "" if options.group_from_path and options.group_column is None else options.group_column
    try:
        columns = guess_columns(
            table,
            candidates,
            path=options.path_column,
            label=options.label_column,
            domain=options.domain_column,
            group=group,
            extra=tuple(options.extra_column) if options.extra_column else None,
        )
    except UserError as error:
        more = " (--label-column NAME)" if error.kind == "unclear-column" else ""
        raise UserError(f"{error}{more}", error.kind) from None
    columns = settle(table, columns)
    return *lay_over(table, columns, candidates), columns


def _dataset_answer(brought: Brought) -> Answer:
    manifest, problems, columns = brought.manifest, brought.problems, brought.columns
    data = {
        "manifest": manifest.id,
        "name": manifest.name,
        "already": brought.already,
        "images": len(manifest.rows),
        "unlabelled": len(manifest.rows) - len(manifest.labelled),
        "classes": list(manifest.classes),
        "domains": manifest.domains,
        "groups": len(manifest.groups),
        "columns": asdict(columns) if columns else None,
        "problems": [each.to_json() for each in problems],
    }
    from transfer_core.data.problems import count_problems

    own = shown(manifest.name)
    lines = [f"{own}: {len(manifest.rows)} images, data set {manifest.id}"]
    if brought.already:
        lines = [f"already here as {own}, data set {manifest.id}: the same images with the same labels"]
    lines += [f"  {shown(name)}: {n}" for name, n in manifest.class_counts.items()]
    if data["unlabelled"]:
        lines.append(f"  {data['unlabelled']} without a label")
    if columns:
        meant = {"files": columns.path, "classes": columns.label, "domains": columns.domain, "groups": columns.group,
                 "further labels": ", ".join(columns.extra or ())}  # fmt: skip
        told = [f"{what} from {name}" for what, name in meant.items() if name]
        lines.append(f"  columns: {', '.join(map(shown, told))}")
    lines += [f"  problem: {_problem_line(each)}" for each in problems[:20]]
    n = count_problems(problems).total() - count_problems(problems[:20]).total()
    if n:
        lines.append(f"  and {n:,} more problems (--json lists more of them)")
    return data, "\n".join(lines), 0


def _problem_line(problem: Problem) -> str:
    return f"{shown(problem.file)}: {shown(problem.message)}" if problem.file else shown(problem.message)


def datasets(options: argparse.Namespace) -> Answer:
    """List the data sets."""
    found = get_lab().library.datasets()
    lines = [
        f"{each.id}  {each.images:>7} images  {shown(each.name)}{each.damage and f'  DAMAGED: {shown(each.damage)}'}"
        for each in found
    ]
    text = "\n".join(lines)
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
    problems = [each.to_json() for each in library.about(manifest.id).problems]
    lines = [f"{shown(each['message'])} (what to do: {' or '.join(each['remedies'])})" for each in findings]
    text = "\n".join(lines) or "Nothing stands out."
    return {"manifest": manifest.id, "findings": findings, "problems": problems}, text, 0
