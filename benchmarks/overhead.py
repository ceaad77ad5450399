"""What watching costs: events, checkpoints and the live page, as a share of training time.

    uv run python benchmarks/overhead.py [--fractions 0.12,0.03,0.85]

Fine-tunes above the cut through the real store, with the time spent in telling, saving and beating
counted where it is spent, while a second thread asks what the live page asks, once a second. Then the
live page's questions are timed against a run with 100,000 events.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from common import Check, finish

sys.path.insert(0, str(Path(__file__).parents[1]))

from transfer_core.data.library import Library
from transfer_core.data.samples import add_solar_cells
from transfer_core.data.split import make_split
from transfer_core.models.cache import ActivationCache
from transfer_core.runs.progress import standing
from transfer_core.runs.store import Run, RunStore
from transfer_core.runs.telling import Heart, Teller
from transfer_core.training.events import EpochEnded, Stepped
from transfer_core.training.loop import Loop
from transfer_core.training.rules import make_spec
from transfer_core.training.setup import make_setup


class Stopwatch:
    """Sums the time spent inside a wrapped function."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, function: Any) -> Any:
        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - started

        return timed


def poll(store: RunStore, run: Run) -> None:
    """Ask what the live page asks once a second."""
    standing(store, store.get(run.id))
    for kind in ("EpochEnded", "Noted"):
        store.events(run.id, kinds=[kind])
    for kind in ("Stepped", "PhaseStarted"):
        store.last_event(run.id, kind)


def training_share(home: Path, fractions: list[float]) -> dict[str, float]:
    """Return seconds of training, telling, saving, beating and polling of one real run."""
    library, store = Library(home), RunStore(home)
    manifest, _ = add_solar_cells(library)
    split = library.add_split(make_split(manifest, fractions=fractions))
    spec = make_spec(manifest, split, {"strategy": "fine_tuning", "cut": 7, "epochs": 5, "device": "cpu"})
    store.add_run(spec)
    run = store.claim(store.runs()[0].id)
    assert run is not None
    folder = store.folder(run.id)
    folder.mkdir(parents=True)
    telling, saving, polling, beating = Stopwatch(), Stopwatch(), Stopwatch(), Stopwatch()
    setup = make_setup(spec, library, ActivationCache(home / "cache"))
    teller = Teller(store, run)
    loop = Loop(setup, folder, telling.around(teller.tell), lambda: False)
    loop._save = saving.around(loop._save)  # type: ignore[method-assign]
    store.beat = beating.around(store.beat)  # type: ignore[method-assign]
    heart, over = Heart(store, run, teller), threading.Event()
    watcher = threading.Thread(
        target=lambda: [polling.around(poll)(store, run) for _ in iter(lambda: over.wait(1.0), True)]
    )
    heart.start()
    watcher.start()
    loop.run()
    over.set()
    watcher.join()
    heart.stop()
    spent = telling.seconds + saving.seconds + polling.seconds + beating.seconds
    return {
        "training s": loop.standing.seconds,
        "telling s": telling.seconds,
        "saving s": saving.seconds,
        "beating s": beating.seconds,
        "polling s": polling.seconds,
        "share %": 100 * spent / loop.standing.seconds,
    }


def poll_at(home: Path, events: int) -> float:
    """Return the median milliseconds of a poll of a run with so many events."""
    library, store = Library(home), RunStore(home)
    manifest = library.get(library.datasets()[0].id)
    split = make_split(manifest, fractions=(0.2, 0.05, 0.75))
    run = store.claim(store.add_run(make_spec(manifest, split, {"device": "cpu"})).id)
    assert run is not None
    load = {"memory_mb": 800.0, "cpu_percent": 90.0}
    for epoch in range(1, 101):
        steps = [Stepped(epoch, step, events // 100, 0.5, 100.0, load) for step in range(events // 100 - 1)]
        figures = {"loss": 0.5, "accuracy": 0.8}
        end = EpochEnded(epoch, 100, figures, figures, 1e-3, 10.0 * epoch, best=False)
        store.add_events(run.id, run.attempt, [*steps, end])
    times = []
    for _ in range(20):
        started = time.perf_counter()
        poll(store, run)
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--fractions", default="0.6,0.15,0.25", help="a smaller first share makes a shorter run"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        share = training_share(Path(name), [float(each) for each in options.fractions.split(",")])
        store = RunStore(Path(name))
        for run in store.runs():
            store.finish(run.id, run.attempt, "done")
        milliseconds = poll_at(Path(name), 100_000)
    row = share | {"poll at 100,000 events ms": milliseconds}
    checks = [
        Check("events, checkpoints and live page, % of training", share["share %"], 3.0, at_least=False),
        Check("poll at 100,000 events, ms", milliseconds, 50.0, at_least=False),
    ]
    finish("overhead", [row], checks)


if __name__ == "__main__":
    main()
