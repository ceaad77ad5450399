"""Events survive the way into the store and back."""

from __future__ import annotations

import json

import pytest

from transfer_core.training.events import (
    KINDS,
    Ended,
    EpochEnded,
    Event,
    Noted,
    PhaseStarted,
    Progressed,
    Provisional,
    Saving,
    Stepped,
    from_record,
    to_record,
)

EXAMPLES: list[Event] = [
    Progressed("Loading", 1, 2, 3),
    PhaseStarted("probe", 1, 2, 8, 1234, 0),
    Stepped(1, 2, 3, 0.5, 120.0, {"memory_mb": 1.0}),
    EpochEnded(1, 9, {"loss": 0.5, "accuracy": 0.1}, {"loss": 0.4}, 1e-3, 2.5, True),
    Noted("Look: ![x](http://a)", 1),
    Provisional(0.8, 0.7, 0.9, 200, 100),
    Saving(4),
    Ended("early", 5, 2),
]


def test_every_kind_has_an_example() -> None:
    assert {type(each).__name__ for each in EXAMPLES} == set(KINDS)


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda each: type(each).__name__)
def test_survives_the_way_into_the_store(event: Event) -> None:
    kind, data = to_record(event)
    assert from_record(kind, json.loads(json.dumps(data))) == event
    assert isinstance(data["epoch"], int), "the store forgets by epoch"
