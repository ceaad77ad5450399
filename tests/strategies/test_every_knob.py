"""No knob is without effect: another value of any of them is another run."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from tests.strategies.contract import cuts
from tests.support import SMALL, Lab, same_tensors
from transfer_core.knobs import Knob, Value, get_knobs
from transfer_core.strategies import STRATEGIES, Strategy
from transfer_core.training.events import EpochEnded
from transfer_core.training.spec import RunSpec

OTHERS: dict[str, dict[str, Any]] = {  # without which a knob has nothing to do
    "threshold": {"delay": 0.0},
    "teacher": {"delay": 0.0, "threshold": 0.3},
    "align": {"delay": 0.0, "threshold": 0.3},
    "delay": {"threshold": 0.3},
    "strength": {"delay": 0.0, "threshold": 0.3},
}
VALUES: dict[str, Value] = {"threshold": 0.3, "l2_sp": 5.0, "shots": 3, "target_labels": 2, "delay": 0.0,
                             "average": 0.1, "queries": 1, "way": 2}  # fmt: skip
NEEDS_OTHER_DATA = {("multi_task", "auxiliary"), ("meta_transfer", "way")}  # than are drawn here
PAIRS = [
    (strategy, knob)
    for strategy in STRATEGIES
    for knob in get_knobs(strategy)
    if (strategy.name, knob.name) not in NEEDS_OTHER_DATA
]


def other(knob: Knob, now: Value) -> Value:
    """Another value that is allowed."""
    if knob.name in VALUES:
        return VALUES[knob.name]
    if isinstance(now, bool):
        return not now
    if isinstance(now, str):
        return next(each for each in knob.choices if each != now)
    changed = now + 1 if isinstance(now, int) else now / 2 or 0.5
    return changed if knob.low is None or changed >= knob.low else knob.parse(2 * now)


USUAL: dict[
    str, tuple[dict[str, Tensor], list[EpochEnded]]
] = {}  # by spec: what each of its knobs is compared with


def trained(lab: Lab, spec: RunSpec) -> tuple[dict[str, Tensor], list[EpochEnded]]:
    """The last weights and the history of a run."""
    outcome = lab.train(spec)
    return outcome.last, outcome.log


@pytest.mark.parametrize(("strategy", "knob"), PAIRS, ids=lambda each: each.name)
def test_another_value_is_another_run(lab: Lab, strategy: type[Strategy], knob: Knob) -> None:
    own = {each.name for each in get_knobs(strategy)}
    base = SMALL.get(strategy.name, {}) | {
        name: value for name, value in OTHERS.get(knob.name, {}).items() if name in own
    }
    lab = lab.across_domains() if knob.name == "target_labels" else lab
    usual = lab.spec(strategy.name, **cuts(strategy), epochs=2, augment="flips", knobs=base)
    changed = base | {knob.name: other(knob, usual.knobs[knob.name])}
    spec = lab.spec(strategy.name, **cuts(strategy), epochs=2, augment="flips", knobs=changed)
    assert spec.id != usual.id
    if usual.id not in USUAL:
        USUAL[usual.id] = trained(lab, usual)
    (weights, log), (other_weights, other_log) = USUAL[usual.id], trained(lab, spec)
    assert not same_tensors(weights, other_weights) or log != other_log, changed
