"""Rates and steps: which part learns how fast, when, and how far a step may go."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from tests.support import Lab, make_tiny, same_tensors
from transfer_core.strategies import Phase
from transfer_core.strategies.fine_tuning import FineTuning
from transfer_core.training.optimise import learning_rate, make_optimiser
from transfer_core.training.places import make_places


def phase_of(lab: Lab, **knobs: Any) -> Phase:
    setup = lab.setup(lab.spec("fine_tuning", cut=1, lr=0.01, knobs=knobs))
    (phase,) = setup.strategy.phases(setup.task)
    return phase


def test_the_rate_warms_up_and_follows_half_a_cosine_to_zero(lab: Lab) -> None:
    phase = phase_of(lab)

    def rate(progress: float) -> float:
        return learning_rate(phase, progress, progress)

    assert rate(0.0) < 0.1 * phase.lr
    assert rate(0.1) == pytest.approx(phase.lr)
    assert rate(0.55) == pytest.approx(phase.lr / 2)
    assert rate(1.0) == pytest.approx(0)
    for progress in (0.2, 0.4, 0.8):
        wanted = phase.lr * (1 + math.cos(math.pi * (progress - 0.1) / 0.9)) / 2
        assert rate(progress) == pytest.approx(wanted)
    assert rate(0.05) == pytest.approx(phase.lr * 0.06 / 0.11), "a straight line"


def test_a_phase_that_carries_on_is_warmed_up_at_the_rate_it_has_come_to(lab: Lab) -> None:
    """Its optimiser is a new one, and knows nothing yet of how large gradients are."""
    phases = FineTuning(unfreeze=True).phases(lab.setup(lab.spec("fine_tuning", cut=1, epochs=20)).task)
    place = make_places(phases)[-1]
    assert (place.first, place.last, place.progress(place.first)) == (3, 20, 0.15)
    carried = phases[-1]
    begun, warm = (
        learning_rate(carried, place.progress(each), place.within(each)) for each in (3, 3 + 0.1 * 17)
    )
    assert begun < 0.1 * warm
    assert warm == pytest.approx(carried.lr * (1 + math.cos(math.pi * (4.7 / 20 - 0.1) / 0.9)) / 2)


def test_lower_stages_learn_slower_and_the_head_faster(lab: Lab) -> None:
    setup = lab.setup(lab.spec("fine_tuning", cut=1, knobs={"head_factor": 7.0, "stage_decay": 0.5}))
    (phase,) = setup.strategy.phases(setup.task)
    model = setup.model
    optimiser, parameters = make_optimiser(phase, model)
    factor = {id(each): group["factor"] for group in optimiser.param_groups for each in group["params"]}
    wanted = {"stages.1": 0.25, "stages.2": 0.5, "stages.3": 1.0, "heads": 7.0}
    for part, expected in wanted.items():
        assert {factor[id(each)] for each in model.part(part).parameters()} == {expected}
    assert len(factor) == len(parameters)
    assert not [each for each in model.part("stages.0").parameters() if id(each) in factor]
    for group in optimiser.param_groups:
        decayed = {each.ndim > 1 for each in group["params"]}
        assert decayed == {group["weight_decay"] > 0}, "biases and norms are not decayed"


def test_a_step_goes_no_further_than_the_clipped_gradient(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clipped to nothing, nothing moves."""
    monkeypatch.setattr("transfer_core.training.loop.CLIP", 0.0)
    knobs = {"weight_decay": 0.0, "freeze_batch_norm": True, "average": 0.0}
    outcome = lab.train(lab.spec("fine_tuning", cut=0, epochs=1, knobs=knobs))
    assert same_tensors(dict(outcome.setup.model.stages.state_dict()), dict(make_tiny().state_dict()))


def test_from_scratch_starts_from_other_weights_of_the_same_shapes(lab: Lab) -> None:
    stages = [
        dict(lab.setup(lab.spec("from_scratch", seed=seed)).model.stages.state_dict()) for seed in (3, 3, 4)
    ]
    pretrained = make_tiny().state_dict()
    assert same_tensors(stages[0], stages[1])
    assert {name: each.shape for name, each in stages[0].items()} == {
        name: each.shape for name, each in pretrained.items()
    }
    kernels = [name for name, each in pretrained.items() if each.ndim == 4]
    for other in (pretrained, stages[2]):
        assert not any(torch.equal(stages[0][name], other[name]) for name in kernels)


def test_every_knob_of_the_phase_reaches_it(lab: Lab) -> None:
    phase = phase_of(lab, weight_decay=0.5, freeze_batch_norm=True, average=0.7, l2_sp=3.0)
    assert (phase.weight_decay, phase.freeze_batch_norm, phase.average, phase.anchor) == (0.5, True, 0.7, 3.0)
