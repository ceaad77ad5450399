"""Rows keep their worth where code changes and what it computes does not: their keys go over to this code.

    uv run python benchmarks/rekey.py OLD      OLD: a checkout of the code whose versions the rows' keys bear

Every strategy is trained shortly by either code, one network and two, on a small backbone with turned views; where the weights are equal
bit for bit, rows of the old code's version get this code's. `measured_with` keeps the key of the day they were measured.
Rows of times are left alone: the same weights may come faster or slower.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

RESULTS = Path(__file__).parent / "results"
TIMES = ("strategy_speed",)


def fingerprints() -> dict[str, tuple[str, str]]:
    """Return, by strategy, the code version and a hash of the last weights, of the code that Python's path leads to."""
    import torch
    from code_version import code_version

    from sample_data.shapes import draw_shapes
    from tests.support import CLASSES, TINY, Lab, candidates
    from transfer_core.data.ingest import ingest
    from transfer_core.data.library import Library
    from transfer_core.data.split import make_split
    from transfer_core.models import backbones
    from transfer_core.strategies import FURTHER_LABEL, STRATEGIES, TARGET, UNLABELLED

    torch.set_num_threads(1)
    found = {}
    with tempfile.TemporaryDirectory() as folder, patch.object(backbones, "BACKBONES", (TINY,)):
        home = Path(folder)
        library = Library(home)
        manifest, _ = ingest(candidates(draw_shapes(60, seed=3, size=32, classes=CLASSES)), "Shapes", library)
        split = library.add_split(make_split(manifest, fractions=(0.5, 0.25, 0.25)))
        for strategy in STRATEGIES:
            lab = Lab(home, manifest, split)
            lab = lab.with_further_label() if FURTHER_LABEL in strategy.needs else lab
            lab = lab.with_many_classes() if strategy.name == "meta_transfer" else lab
            lab = lab.across_domains() if {TARGET, UNLABELLED} & set(strategy.needs) else lab
            wishes: dict[str, Any] = {"cut": 2} if strategy.freezes == "chosen" else {}
            weights = hashlib.sha256()
            for networks in (1,) if strategy.freezes == "all" else (1, 2):
                spec = lab.spec(strategy.name, epochs=2, augment="turns", networks=networks, **wishes)
                outcome = lab.train(spec)
                values = outcome.last if networks == 1 else outcome.best
                for name, value in sorted(values.items()):
                    weights.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
            found[strategy.name] = code_version(strategy), weights.hexdigest()[:16]
    return found


def fingerprints_of(root: Path) -> dict[str, tuple[str, str]]:
    """Return the fingerprints of a checkout, told by a process of its own that imports nothing from here."""
    paths = os.pathsep.join((str(root), str(root / "benchmarks")))
    call = [sys.executable, "-P", __file__, "--tell"]
    said = subprocess.run(
        call, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": paths}
    )
    return {name: (version, weights) for name, (version, weights) in json.loads(said.stdout).items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("old", type=Path, nargs="?")
    parser.add_argument(
        "--tell", action="store_true", help="print the fingerprints of the code on Python's path"
    )
    options = parser.parse_args()
    if options.tell:
        print(json.dumps(fingerprints()))
        return
    if options.old is None:
        parser.error("say which checkout the rows' keys are of")
    old, new = fingerprints_of(options.old.resolve()), fingerprints_of(Path(__file__).resolve().parents[1])
    same = {name for name in old if name in new and old[name][1] == new[name][1]}
    versions = {old[name][0]: new[name][0] for name in same}
    print(f"same weights: {', '.join(sorted(same))}")
    print(f"others: {', '.join(sorted(set(new) - same)) or 'none'}")
    for path in sorted(RESULTS.glob("*.jsonl")):
        if path.stem in TIMES:
            continue
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            row.setdefault("measured_with", row["key"])
            row["key"] = "-".join(versions.get(part, part) for part in row["key"].split("-"))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
