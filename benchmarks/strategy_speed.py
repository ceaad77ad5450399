"""What the activation cache brings to every strategy that trains above a cut.

    uv run python benchmarks/strategy_speed.py                every strategy
    uv run python benchmarks/strategy_speed.py --only mcd     this one alone, and end

The same recipe (EfficientNet-Lite0, stem and blocks 0 to 4 frozen, 300 solar cells of one kind, 200 of the other)
with and without the cache. The bound is what an epoch costs without the cache over what it would cost if the frozen
part were free, both measured in the uncached run: time in the frozen part is summed where it is spent. From the second epoch
on at least 80 % of the bound is wanted. Prototypes and meta-transfer train on episodes of the drawn set. Feature extraction,
which needs frozen features alone, is in `speed.py`.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from common import Check, Row, Rows, finish

sys.path.insert(0, str(Path(__file__).parents[1]))

from code_version import code_version
from few_shot import drawn

from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest
from transfer_core.data.samples import add_solar_cells
from transfer_core.data.split import Split, make_split
from transfer_core.models.activations import Activations
from transfer_core.models.cache import ActivationCache
from transfer_core.strategies import STRATEGIES, TARGET, UNLABELLED, Strategy
from transfer_core.training.events import EpochEnded, Event
from transfer_core.training.loop import Loop
from transfer_core.training.rules import make_spec
from transfer_core.training.setup import make_setup

KNOBS: dict[str, dict[str, Any]] = {
    "probe_then_tune": {"probe": 1},
    "autoencoder": {"pretraining": 1},
    "multi_task": {"auxiliary": "side"},
    "prototypical": {"episodes": 10},
    "meta_transfer": {"episodes": 10, "fitting": 1},
}
EPISODES = (
    "prototypical",
    "meta_transfer",
)  # on the drawn set of `few_shot.py`: they need more classes than two
LEFT_OUT = {
    "from_scratch": "nothing is frozen, so nothing to keep",
    "feature_extraction": "see speed.py",
}


class Frozen:
    """Sums the time spent in the frozen part."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._original = Activations._stored

    def __enter__(self) -> Frozen:
        original, watch = self._original, self

        def timed(self: Activations, *args: Any) -> Any:
            started = time.perf_counter()
            try:
                return original(self, *args)
            finally:
                watch.seconds += time.perf_counter() - started

        Activations._stored = timed  # type: ignore[method-assign, assignment]
        return self

    def __exit__(self, *_: object) -> None:
        Activations._stored = self._original  # type: ignore[method-assign]


def small(library: Library, manifest: Manifest) -> Manifest:
    """Return 300 cells of one kind and 200 of the other, with a further label."""
    by_domain = {name: [row for row in manifest.rows if row.domain == name] for name in ("mono", "poly")}
    rows = [*by_domain["mono"][::3][:300], *by_domain["poly"][::7][:200]]
    marked = tuple(replace(row, extra={"side": "ab"[int(row.image[:4], 16) % 2]}) for row in rows)
    return library.add(replace(manifest, name="Some solar cells", rows=marked))


def epochs(
    library: Library, manifest: Manifest, split: Split, strategy: type[Strategy], *, cache: bool
) -> tuple[list[float], list[float]]:
    """Return the seconds of each epoch, and those of them in the frozen part."""
    wishes = {"strategy": strategy.name, "backbone": "lite0", "cut": 6, "epochs": 4, "patience": 0, "device": "cpu",
              "cache": cache, "knobs": KNOBS.get(strategy.name, {})}  # fmt: skip
    spec = make_spec(manifest, split, wishes)
    totals, frozen = [0.0], [0.0]
    with tempfile.TemporaryDirectory() as folder, Frozen() as watch:

        def emit(event: Event) -> None:
            if isinstance(event, EpochEnded):
                totals.append(event.seconds)
                frozen.append(watch.seconds)

        setup = make_setup(
            spec, library, ActivationCache(library.home / "speed-cache", budget=20_000_000_000)
        )
        Loop(setup, Path(folder), emit, lambda: False).run()
    each = [b - a for a, b in pairwise(totals)]
    return each, [b - a for a, b in pairwise(frozen)]


def cpu_name() -> str:
    """Return what this machine computes with: times of another one are not ours."""
    return f"{platform.processor() or platform.machine()} x {torch.get_num_threads()}"


def compare(library: Library, manifest: Manifest, split: Split, strategy: type[Strategy]) -> Row:
    """Return the time of an epoch with and without the cache, beside the bound."""
    slow, frozen = epochs(library, manifest, split, strategy, cache=False)
    fast, _ = epochs(library, manifest, split, strategy, cache=True)
    # The last three of the phase that trains stages: before it comes another one, or after episodes.
    measured = slice(1, 4) if strategy.name in EPISODES else slice(-3, None)
    without, within, with_cache = (sum(each[measured]) for each in (slow, frozen, fast))
    bound, ratio = without / (without - within), without / with_cache
    return {"strategy": strategy.name, "epoch without s": without / 3, "epoch with s": with_cache / 3,
            "times": ratio, "bound": bound, "share": ratio / bound}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "transfer-lab-benchmark")
    parser.add_argument("--only", help="measure this strategy alone, and end")
    options = parser.parse_args()
    library = Library(options.home)
    manifest = small(library, add_solar_cells(library)[0])
    plain = library.add_split(make_split(manifest))
    across = library.add_split(make_split(manifest, "transfer", train_domain="mono", test_domain="poly"))
    rows, checks, done = [], [], Rows("strategy_speed")
    for strategy in STRATEGIES:
        if options.only not in (None, strategy.name):
            continue
        if strategy.name in LEFT_OUT:
            print(f"{strategy.name}: left out, {LEFT_OUT[strategy.name]}")
            continue
        split = across if {TARGET, UNLABELLED} & set(strategy.needs) else plain
        data, split = drawn(library) if strategy.name in EPISODES else (manifest, split)
        key = f"{strategy.name}-{code_version(strategy)}-{cpu_name()}"
        rows.append(done.get(key, partial(compare, library, data, split, strategy)))
        print(rows[-1], flush=True)
        checks.append(Check(f"{strategy.name}: share of the bound", rows[-1]["share"], 0.8))
    if not options.only:
        finish("strategy_speed", rows, checks)


if __name__ == "__main__":
    main()
