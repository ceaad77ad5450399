"""Which of the stabilisers of adversarial adaptation pay: DANN and the recommended strategy, mono -> poly, each without one.

    uv run python benchmarks/stabilisers.py             seed 0
    uv run python benchmarks/stabilisers.py --seeds 3   seeds 0 to 2

The same recipe, split and rule of selection as in `adaptation.py`, stem and blocks 0 to 4 frozen; balanced accuracy on
target-test, whose labels nothing saw. Every finished run is a line of `results/stabilisers.jsonl`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1]))

from adaptation import COMMON, Matrix
from code_version import code_version
from common import Row, Rows, finish
from torch import nn

from transfer_core.strategies import get_strategy
from transfer_core.training.spec import RunSpec

STRATEGIES = ("adversarial_self_training", "dann")
KNOBS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "no weight averaging": {"average": 0.0},
    "statistics shared by the domains": {"batch_norm": "shared"},
    "statistics separate, their mean in testing": {"batch_norm": "separate"},
    "discriminator without dropout": {"dropout": 0.0},
}


def _with_batch_norm(inputs: int, width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(width, 1),
    )  # fmt: skip


PATCHES: dict[str, tuple[str, Any]] = {
    "discriminator with batch-norm": ("transfer_core.models.heads.make_discriminator", _with_batch_norm),
    "lambda at its full strength from the start": ("transfer_core.losses.adversarial.reversal_strength", lambda *_: 1.0),
    "no clipping of gradients": ("transfer_core.training.loop.CLIP", float("inf")),
}  # fmt: skip


@contextmanager
def without(variant: str) -> Iterator[None]:
    """Take out a stabiliser that no knob takes out."""
    with ExitStack() as stack:
        if variant in PATCHES:
            stack.enter_context(patch(*PATCHES[variant]))
        yield


def measure(matrix: Matrix, spec: RunSpec, variant: str) -> Row:
    """Return the row of a variant, trained anew."""
    with tempfile.TemporaryDirectory() as folder:
        return {"variant": variant} | matrix.train(spec, Path(folder))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=1, help="how many, counted from 0")
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "transfer-lab-benchmark")
    options = parser.parse_args()
    matrix, done = Matrix(options.home), Rows("stabilisers")
    found: dict[tuple[str, str], list[Row]] = {}
    for seed in range(options.seeds):
        for name in STRATEGIES:
            for variant in (*KNOBS, *PATCHES):
                knobs = KNOBS.get(variant, {})
                spec = matrix.spec("mono", "poly", seed, COMMON | {"strategy": name, "knobs": knobs})
                key = f"{spec.id}-{code_version(get_strategy(name))}-{variant}"
                if variant == "as it is":
                    row = matrix.run(spec)  # it is a row of adaptation.py
                else:
                    with without(variant):
                        row = done.get(key, partial(measure, matrix, spec, variant))
                found.setdefault((name, variant), []).append(row)
                print(name, variant, seed, round(row["balanced"], 3), flush=True)
    rows = []
    for (name, variant), own in found.items():
        each = [row["balanced"] for row in own]
        whole = [row["balanced"] for row in found[name, "as it is"]]
        rows.append({"strategy": name, "variant": variant, "seeds": len(each), "balanced": statistics.mean(each),
                     "against as it is": statistics.mean(each) - statistics.mean(whole)})  # fmt: skip
    finish("stabilisers", rows, [])


if __name__ == "__main__":
    main()
