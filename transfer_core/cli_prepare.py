"""What `train` and `sweep` share: from options to a data set, its split and what is wished of a run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transfer_core import cli_data
from transfer_core.cli_watch import ProgressBar
from transfer_core.data.manifest import Manifest
from transfer_core.data.problems import count_problems
from transfer_core.data.split import Split
from transfer_core.errors import UserError
from transfer_core.runs.lab import Lab
from transfer_core.terminal import tell

WISHES = (
    "backbone", "strategy", "cut", "epochs", "batch_size", "lr", "augment", "views", "test_views", "size", "geometry",
    "class_weights", "label_confidence", "mixing", "networks", "patience", "select", "precision", "device", "source", "target", "seed",
)  # fmt: skip


def prepare(lab: Lab, options: argparse.Namespace, strategy: str) -> tuple[Manifest, Split, dict[str, Any]]:
    """Return the data set, the stored split and the wishes that options name; `strategy` where they name none."""
    from transfer_core.data.alike import get_alike
    from transfer_core.data.dismissed import get_held
    from transfer_core.data.split import FRACTIONS, Rule, make_split, usual_rule
    from transfer_core.strategies import TARGET, get_strategy

    manifest = _find_data(lab, options.data)
    if options.source and not options.target:
        raise UserError("--source needs --target: name the domain to test on.")
    chosen = get_strategy(options.strategy or strategy)
    adapts = TARGET in chosen.needs
    across: Rule = "transfer" if options.source or adapts else "domain"
    usual, why = usual_rule(manifest)
    rule: Rule = options.split_by or (across if options.target else usual)
    if not options.split_by and not options.target:
        tell(f"Split by {rule}: {why}. --split-by takes another rule.", sys.stderr)
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
            other_classes=chosen.takes_other_classes,
            alike=alike,
        )
    )
    if lack := split.ungrouped(manifest):
        tell(lack, sys.stderr)
    if lack := split.tell_absent():
        tell(lack, sys.stderr)
    wishes = {name: getattr(options, name) for name in WISHES} | {"knobs": _parse_settings(options.set)}
    return manifest, split, wishes | {"cache": not options.no_cache, "strategy": chosen.name}


def _find_data(lab: Lab, ref: str) -> Manifest:
    """Return the manifest that a path, an id or a name means; a path is brought in first."""
    if Path(ref).exists():
        found = cli_data.bring(Path(ref))
        if found.problems:
            n = count_problems(found.problems).total()
            what = f"1 problem in {ref}; `transfer-lab ingest` lists it."
            what = what if n == 1 else f"{n:,} problems in {ref}; `transfer-lab ingest` lists them."
            tell(what, sys.stderr)
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
