"""A trial of the machine is made for whoever asks, unless a run is under way, and kept unless one began meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from transfer_core.runs.answering import Answering
from transfer_core.runs.store import RunStore
from transfer_core.training import trial
from transfer_core.training.forecast import Pace, read_pace
from transfer_core.training.spec import RunSpec

SPEC = RunSpec("0123456789abcdef", "fedcba9876543210", cut=9)
PACE = Pace(0.1, 0.0, 0.01)


@pytest.mark.parametrize("begins", ["before", "meanwhile", "never"])
def test_only_a_machine_at_rest_is_measured(home: Path, monkeypatch: pytest.MonkeyPatch, begins: str) -> None:
    store, asked = RunStore(home), []
    run = store.add_run(SPEC)

    def measure(spec: RunSpec, library: object, stored: int) -> Pace:
        asked.append((spec, stored))
        if begins == "meanwhile":
            store.claim(run.id)
        return PACE

    monkeypatch.setattr(trial, "try_out", measure)
    if begins == "before":
        store.claim(run.id)
    answer = Answering(home).answer({"do": "try", "spec": SPEC.to_json(), "stored": 7})
    assert answer == {}
    assert asked == ([] if begins == "before" else [(SPEC, 7)])
    assert read_pace(home, SPEC) == (PACE if begins == "never" else None)
