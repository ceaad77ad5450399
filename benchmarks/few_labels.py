"""Few labels, many images without one: what pretraining, unlabelled images and a second question are worth.

    uv run python benchmarks/few_labels.py              10 and 100 labelled cells of each class, 3 splits
    uv run python benchmarks/few_labels.py --scratch    from random weights, 100 of each class, 1 split (slow)

Real solar cells, whole modules on one side: of the training modules so many cells of each class keep their label, and
the others lose theirs. Every strategy gets the same cells, the same validation images and the same recipe. The second
question of `multi_task` is the kind of cell. Every finished run is one line of `results/few_labels.jsonl`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from accuracy import FRACTIONS, run
from code_version import code_version
from common import Row, Rows, finish

from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest
from transfer_core.data.samples import add_solar_cells
from transfer_core.data.split import Split, make_split
from transfer_core.strategies import get_strategy
from transfer_core.training.labels import pick
from transfer_core.training.rules import make_spec

STRATEGIES = (
    "feature_extraction", "fine_tuning", "probe_then_tune", "prototypical", "autoencoder",
    "self_training", "multi_task",
)  # fmt: skip
LABELS = (10, 100)  # of each class
COMMON: dict[str, Any] = {
    "backbone": "lite0",
    "augment": "turns",
    "epochs": 30,
    "patience": 0,
    "device": "cpu",
}
CUT = 6  # where a strategy asks for one; prototypes are those of the whole frozen backbone
KNOBS = {"multi_task": {"auxiliary": "kind"}}


def with_labels(manifest: Manifest, seed: int, per_class: int) -> Manifest:
    """Return the cells with their parts of a split by module, and labels for so many training cells of each class."""
    split = make_split(manifest, "group", fractions=FRACTIONS, seed=seed)
    train = split.part("train")
    kept = set(pick(manifest, train, per_class, seed))
    rows = tuple(
        replace(
            row,
            given=split.assignment.get(row.image),
            label=row.label if row.image in kept or split.assignment.get(row.image) != "train" else None,
            extra={"kind": row.domain or ""},
        )
        for row in manifest.rows
    )
    return replace(manifest, rows=rows)


def measure(library: Library, manifest: Manifest, split: Split, wishes: dict[str, Any]) -> Row:
    """Train once; return the figures, and how many images were learnt from, looked at and tested."""
    with tempfile.TemporaryDirectory() as folder:
        setup, row = run(library, manifest, split, wishes, Path(folder))
    sizes = {part: len(setup.images(part)) for part in ("train", "unlabelled", "test")}
    about = {"strategy": wishes["strategy"], "seed": wishes["seed"]}
    return about | sizes | row


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scratch", action="store_true", help="nothing but random weights, one split")
    parser.add_argument("--seeds", type=int, default=3, help="how many, counted from 0")
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "transfer-lab-benchmark")
    options = parser.parse_args()
    library = Library(options.home)
    cells, _ = add_solar_cells(library)
    done = Rows("few_labels")
    rows = []
    matrix = [(per_class, name) for per_class in LABELS for name in STRATEGIES]
    if options.scratch:
        matrix, options.seeds = [(LABELS[-1], "from_scratch")], 1
    for per_class, name in matrix:
        found = []
        for seed in range(options.seeds):
            manifest = library.add(with_labels(cells, seed, per_class))
            split = library.add_split(make_split(manifest, "given", fractions=FRACTIONS, seed=seed))
            wishes = COMMON | {"strategy": name, "seed": seed, "knobs": KNOBS.get(name, {})}
            if get_strategy(name).freezes == "chosen" and name != "prototypical":
                wishes["cut"] = CUT
            spec = make_spec(manifest, split, wishes)
            key = f"{spec.id}-{code_version(get_strategy(name))}"
            found.append(done.get(key, partial(measure, library, manifest, split, wishes)))
        mean = statistics.mean(row["balanced"] for row in found)
        seeds = {f"seed {row['seed']}": row["balanced"] for row in found}
        rows.append({"labels of each class": per_class, "strategy": name, "balanced": mean} | seeds)
        print(rows[-1], flush=True)
    if not options.scratch:
        finish("few_labels", rows, [])


if __name__ == "__main__":
    main()
