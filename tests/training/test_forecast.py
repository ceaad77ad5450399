"""Before the first run: what a trial of the machine finds, and between which times it says that a run will take."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support import Lab, make_tiny, same_tensors
from transfer_core.models.backbones import Backbone
from transfer_core.training import estimate, trial
from transfer_core.training.estimate import OVERHEAD, make_plan, write_timings
from transfer_core.training.forecast import Pace, forecast, keep_pace, read_pace
from transfer_core.training.spec import RunSpec
from transfer_core.training.trial import try_out

IMAGES, TRAIN, VAL = 1000, 600, 150
PACE = Pace(frozen=2.0, trained=3.0, reading=0.01)


def play(spec: RunSpec, epochs: int, stored: int, hidden: float) -> float:
    """The seconds of a run that ends after so many epochs, pass by pass; `hidden`: the share of reading that costs nothing."""
    costs = [stage.gflops for stage in spec.make_backbone().stages]
    reading, seconds = (1 - hidden) * PACE.reading, OVERHEAD

    def frozen(first: int, last: int) -> float:
        return sum(costs[first:last]) * PACE.frozen

    def forward() -> float:
        return sum(costs[spec.cut :]) * PACE.trained

    first = IMAGES + max(0, spec.views - 1) * TRAIN
    seconds += first * (reading + frozen(0, stored))
    for _ in range(epochs):
        for images, passes in ((TRAIN, 3), (VAL, 1)):
            again = not spec.cache or (images == TRAIN and not spec.views)
            seconds += images * ((reading + frozen(0, stored)) * again + frozen(stored, spec.cut))
            seconds += images * passes * forward()
    return seconds + IMAGES * (frozen(stored, spec.cut) + forward())


@pytest.mark.parametrize(
    ("changes", "stored"),
    [
        ({}, 2),
        ({"patience": 3}, 2),
        ({"cut": 0}, 0),
        ({"augment": "mirror"}, 1),
        ({"augment": "light", "views": 0}, 2),
        ({"cache": False}, 2),
        ({"strategy": "feature_extraction", "epochs": 9}, 4),
    ],
)
def test_a_run_at_the_pace_of_the_trial_ends_within_the_range(
    lab: Lab, changes: dict[str, Any], stored: int
) -> None:
    spec = (
        lab.spec(**{"cut": 2, "epochs": 10} | changes) if "strategy" not in changes else lab.spec(**changes)
    )
    low, high = forecast(PACE, spec, IMAGES, TRAIN, VAL, stored)
    fewest = spec.patience + 1 if spec.patience else spec.epochs
    for epochs in range(fewest, spec.epochs + 1):
        for hidden in (0.0, 1.0):
            assert 1.2 * low < play(spec, epochs, stored, hidden) < high / 1.2
    assert high < 5 * low or spec.patience, "a range that says everything says nothing"


def test_several_networks_take_as_many_times_as_long_to_train(lab: Lab) -> None:
    spec = lab.spec(cut=0, epochs=10)
    one, three = (forecast(PACE, replace(spec, networks=n), IMAGES, TRAIN, VAL, 0) for n in (1, 3))
    assert three == pytest.approx([3 * each for each in one], rel=0.1)


def test_where_the_precision_is_found_out_later_it_may_be_twice_as_fast(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = lab.spec(cut=0, epochs=10)
    plain = forecast(PACE, spec, IMAGES, TRAIN, VAL, 0)
    monkeypatch.setattr(estimate, "LEAST_GFLOPS", 0.01)
    found = forecast(PACE, spec, IMAGES, TRAIN, VAL, 0)
    assert found[0] < 0.6 * plain[0]
    assert found[1] == plain[1]


def test_a_pace_is_of_one_device_backbone_size_and_cut(lab: Lab) -> None:
    spec = lab.spec(cut=2)
    assert read_pace(lab.home, spec) is None
    keep_pace(lab.home, spec, PACE)
    assert read_pace(lab.home, lab.spec(cut=2, epochs=9, lr=0.1, augment="mirror")) == PACE
    for other in ({"cut": 1}, {"device": "cuda:0"}, {"size": 64}, {"manifest": "another"}):
        assert read_pace(lab.home, replace(spec, **other)) is None  # type: ignore[arg-type]


def test_after_a_run_of_this_kind_its_own_seconds_are_told(lab: Lab) -> None:
    """All that a run needs has to be known, and no more: where nothing is frozen, what trains is enough."""

    def seconds(cut: int) -> float | None:
        return make_plan(lab.home, lab.spec(cut=cut), IMAGES, TRAIN, 3, cut).seconds

    assert seconds(0) is None
    write_timings(lab.home, {"cpu/tiny": {"trained": 0.5}})
    assert seconds(0) == pytest.approx(OVERHEAD + 0.5 * TRAIN * 3 * 3 * 0.04)
    assert seconds(2) is None
    write_timings(lab.home, {"cpu/tiny": {"trained": 0.5, "frozen": 0.1}})
    assert seconds(2) == pytest.approx(OVERHEAD + 0.1 * IMAGES * 0.02 + 0.5 * TRAIN * 3 * 3 * 0.02)


class Late(nn.Module):
    """Takes a hundredth of a second over whatever comes."""

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(0.01)
        return x


def test_a_trial_finds_how_long_stages_and_reading_take(
    lab: Lab, tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "LONG", 0.1)
    read = trial.decode_pixels
    monkeypatch.setattr(trial, "decode_pixels", lambda *each: (time.sleep(0.01), read(*each)))
    stages = make_tiny()
    for number, times in ((1, 1), (3, 2)):
        stages[number] = nn.Sequential(stages[number], *[Late() for _ in range(times)])
    before = {name: each.clone() for name, each in stages.state_dict().items()}
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    pace = try_out(lab.spec(cut=2), lab.library, 2, stages)
    assert torch.equal(torch.rand(2), wanted)
    assert same_tensors(dict(stages.state_dict()), before)
    assert all(each.grad is None for each in stages.parameters())
    # Sixteen images at once below the cut, eight in a step above it: 0.02 billion multiply-adds of each on either side.
    assert 0.01 < pace.frozen * 16 * 0.02 < 0.05
    assert 0.02 < pace.trained * 3 * 8 * 0.02 < 0.1
    assert 0.01 < pace.reading < 0.05
    assert try_out(lab.spec("feature_extraction"), lab.library, 4, stages).trained == 0.0
    assert try_out(lab.spec(cut=0), lab.library, 0, stages).frozen == 0.0


def test_a_trial_leaves_the_graph_that_the_run_will_need(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(trial, "LONG", 0.01)
    monkeypatch.setattr(trial, "choose_engine", lambda *_: "onnx")
    try_out(lab.spec(cut=2), lab.library, 2, make_tiny())
    setup = replace(lab.setup(lab.spec(cut=2)), engine="onnx")
    with setup.activations(2) as activations:
        assert activations.prefixes[0].is_ready
    with setup.activations(1) as activations:
        assert not activations.prefixes[0].is_ready


def test_what_the_first_time_takes_is_no_pace() -> None:
    """A graph that is opened took some seconds: with them, New run said 30 s to 42 min of a run of two minutes."""
    slow = iter([0.2])
    assert trial._pace(lambda: time.sleep(next(slow, 0.01)), 0.02) < 0.1
