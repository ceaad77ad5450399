"""How far a run is, as the live page and the command line tell it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from transfer_core.runs import store as store_module
from transfer_core.runs.lab import standing
from transfer_core.runs.store import RunStore
from transfer_core.training.events import EpochEnded, Progressed, Stepped
from transfer_core.training.spec import RunSpec

SPEC = RunSpec("0123456789abcdef", "fedcba9876543210", cut=9)


def test_time_left_before_the_first_epoch_follows_the_pace_so_far(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RunStore(home)
    run = store.claim(store.add_run(SPEC).id)
    assert run is not None

    def left_after(at: float, doing: str, done: int) -> float | None:
        monkeypatch.setattr(store_module.time, "time", lambda: at)
        store.add_events(run.id, run.attempt, [Progressed(doing, done, 100)])
        left: float | None = standing(store, run)["left"]
        return left

    assert left_after(1000, "Loading", 1) is None  # nothing to go by
    assert left_after(1090, "Caching", 0) is None  # what was before does not count
    assert left_after(1100, "Caching", 20) == 40.0  # 10 s for 20, 80 to go
    assert left_after(1105, "Caching", 5) is None  # begun anew after a kill
    assert left_after(1115, "Caching", 25) == 37.5
    assert left_after(900, "Caching", 50) is None  # the clock was put back


def test_time_left_in_the_first_epoch_follows_its_steps(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RunStore(home)
    run = store.claim(store.add_run(replace(SPEC, epochs=5)).id)
    assert run is not None

    def left_after(at: float, step: int, epoch: int = 1) -> float | None:
        monkeypatch.setattr(store_module.time, "time", lambda: at)
        store.add_events(run.id, run.attempt, [Stepped(epoch, step, 10, 1.0, 30.0, {})])
        left: float | None = standing(store, run)["left"]
        return left

    assert left_after(1000, 1) is None
    assert left_after(1004, 3) == 47 * 2.0  # 2 s a step, 50 of them in all
    assert left_after(1010, 6) == 44 * 2.0
    figures = {"loss": 1.0, "accuracy": 0.5}
    store.add_events(run.id, run.attempt, [EpochEnded(1, 5, figures, figures, 1e-3, 25.0, best=True)])
    assert left_after(1030, 5, epoch=2) == 4 * 25.0 - 12.5, "then by whole epochs, validation included"
