"""The commands of `transfer-lab` that take a model elsewhere: export and verify."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from transfer_core.cli_house import Answer, get_lab
from transfer_core.cli_watch import ProgressBar
from transfer_core.files import usual_files

if TYPE_CHECKING:
    from transfer_core.bundle.verify import Check


def export(options: argparse.Namespace) -> Answer:
    """Write a run's bundle into a folder and say how its self-test went."""
    from transfer_core.bundle.subject import Options
    from transfer_core.bundle.verify import read_about
    from transfer_core.runs.take_home import export_bundle

    lab = get_lab()
    run = lab.store.find(options.run)
    folder = Path(options.to).expanduser().absolute()
    wishes = Options(images=options.images, names=options.names, int8=options.int8)
    with usual_files(), ProgressBar("Preparing") as bar:
        verdict = export_bundle(
            lab, run, folder, wishes, lambda doing, done, total: bar.update(done, total, doing)
        )
    about = read_about(folder)
    data = {"run": run.id, "folder": str(folder), "files": sorted(about["files"]), "int8": about.get("int8"),
            "agreement_with_report": about["agreement_with_report"], **verdict.to_json()}  # fmt: skip
    lines = [f"{folder}: {len(about['files']) + 1} files", *_lines(verdict.checks)]
    if about.get("int8"):
        from transfer_core.bundle.readme import int8_words

        lines.append(f"int8: {int8_words(about['int8'])}")
    return data, "\n".join(lines), 0


def verify(options: argparse.Namespace) -> Answer:
    """Check a bundle: its files, its classes, torch against ONNX Runtime. Exit code 1 where something is wrong."""
    from transfer_core.bundle.apart import verify_apart

    verdict = verify_apart(Path(options.folder).expanduser())
    last = "passed" if verdict.passed else "FAILED: do not use this copy"
    lines = [*_lines(verdict.checks), f"bundle {verdict.bundle_id}", last]
    return verdict.to_json(), "\n".join(lines), 0 if verdict.passed else 1


def _lines(checks: Sequence[Check]) -> list[str]:
    return [f"{'ok  ' if each.passed else 'BAD '} {each.name}: {each.found}" for each in checks]
