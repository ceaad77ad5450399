"""Several networks in one run: each as if it were alone, then the mean of their probabilities."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.strategies.contract import cuts, every
from tests.strategies.test_interrupted import Kill
from tests.support import Lab, Outcome, same_tensors, without_times
from transfer_core.errors import UserError
from transfer_core.evaluation.predict import Seen, predict
from transfer_core.strategies import Strategy
from transfer_core.strategies.adversarial_self_training import AdversarialSelfTraining
from transfer_core.strategies.fine_tuning import FineTuning
from transfer_core.training import loop
from transfer_core.training.domains import predict_domains
from transfer_core.training.events import Ended, EpochEnded, Event, Noted, PhaseStarted, Saving
from transfer_core.training.networks import APART, count_done

MARKS = (Saving, EpochEnded, Ended)


def ask(lab: Lab, outcome: Outcome) -> Seen:
    """What a finished training says of all images, with its weights read into a model made anew."""
    spec = outcome.setup.spec
    setup = lab.setup(spec)
    setup.model.load_trained(outcome.best)
    images = [row.image for row in lab.manifest.rows]
    with setup.activations(spec.cut) as activations:
        activations.fill(images, 1)
        return predict_domains(setup, activations, images, lambda *_: None)


def test_they_say_the_mean_of_what_runs_with_other_seeds_say(lab: Lab) -> None:
    spec = lab.spec("fine_tuning", cut=2, networks=3)
    alone = [ask(lab, lab.train(lab.spec("fine_tuning", cut=2, seed=seed * APART))) for seed in range(3)]
    assert len({each.probabilities.tobytes() for each in alone}) == 3, "three networks, not one three times"
    together = ask(lab, lab.train(spec))
    wanted = np.mean([each.probabilities for each in alone], axis=0)
    assert np.allclose(together.probabilities, wanted, atol=1e-6)
    assert np.array_equal(together.features, np.concatenate([each.features for each in alone], axis=1))


@every
def test_every_strategy_trains_several_or_says_why_not(lab: Lab, strategy: type[Strategy]) -> None:
    wishes = {**cuts(strategy), "epochs": 2, "networks": 2}
    if strategy.freezes == "all":
        with pytest.raises(UserError, match="leave networks at 1"):
            lab.spec(strategy.name, **wishes)
        return
    outcome = lab.train(lab.spec(strategy.name, **wishes))
    setup = outcome.setup
    assert outcome.ended.reason == "finished"
    assert outcome.log[-1].best
    assert outcome.log[-1].epoch == outcome.log[-1].epochs == outcome.ended.best
    assert [each.epoch for each in outcome.log] == list(range(1, outcome.ended.epoch + 1))
    alone = len(outcome.log) // 2
    assert [each.network(2) for each in outcome.log] == [0] * alone + [1] * alone + [2]
    first, second = setup.model.members
    if strategy.name != "prototypical":  # whose plain form knows no order
        assert not same_tensors(first.trained_state(setup.spec.cut), second.trained_state(setup.spec.cut))
    images = setup.split.part("test")
    with setup.activations(setup.spec.cut) as activations:
        activations.fill(images, 1)
        told = [predict(each, activations, images, setup.spec.cut) for each in (first, second, setup.model)]
    mean = (told[0].probabilities + told[1].probabilities) / 2
    assert np.allclose(told[2].probabilities, mean, atol=1e-6)
    again = ask(lab, outcome)
    place = [row.image for row in lab.manifest.rows].index(images[0])
    assert np.allclose(again.probabilities[place], mean[0], atol=1e-6), "as a run that is opened later"


@pytest.mark.parametrize("strategy", [FineTuning, AdversarialSelfTraining])
def test_killed_anywhere_they_go_on_as_if_nothing_had_happened(
    lab: Lab, strategy: type[Strategy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_SHARE", math.inf)
    spec = lab.spec(strategy.name, cut=2, epochs=2, networks=2)
    whole = lab.train(spec)
    for point in range(sum(isinstance(each, MARKS) for each in whole.events)):
        folder = lab.home / f"killed-{point}"
        told: list[Event] = []

        def emit(event: Event, told: list[Event] = told, point: int = point) -> None:
            told.append(event)
            if sum(isinstance(each, MARKS) for each in told) > point:
                raise Kill

        with pytest.raises(Kill):
            lab.train(spec, folder=folder, emit=emit)
        done = count_done(lab.setup(spec), folder)
        resumed = lab.train(spec, folder=folder)
        assert [each for each in without_times(told) if each.epoch <= done] + resumed.log == whole.log, point
        assert resumed.ended == whole.ended
        assert same_tensors(resumed.best, whole.best)


@pytest.mark.parametrize("networks", [2, 3])
def test_stopped_early_what_was_trained_counts_and_it_can_go_on(lab: Lab, networks: int) -> None:
    spec = lab.spec("fine_tuning", cut=2, epochs=3, networks=networks)
    alone = ask(lab, lab.train(replace(spec, networks=1)))
    events: list[Event] = []
    folder = lab.home / "stopped"
    stopped = lab.train(
        spec, folder=folder, emit=events.append,
        should_stop=lambda: any(isinstance(each, PhaseStarted) and each.number == 2 for each in events),
    )  # fmt: skip
    assert stopped.ended.reason == "stopped"
    assert [each.network(networks) for each in stopped.log] == [0, 0, 0, networks]
    assert np.allclose(ask(lab, stopped).probabilities, alone.probabilities, atol=1e-6)
    assert f"1 of {networks} networks were trained" in next(
        each.text for each in events if isinstance(each, Noted)
    )
    resumed = lab.train(spec, folder=folder)
    assert same_tensors(resumed.best, lab.train(spec).best)


def test_stopped_before_there_is_anything_it_keeps_nothing(lab: Lab) -> None:
    stopped = lab.train(lab.spec("fine_tuning", cut=2, networks=2), should_stop=lambda: True)
    assert (stopped.ended.reason, stopped.ended.best) == ("stopped", 0)


def test_one_network_is_what_it_always_was(lab: Lab) -> None:
    plain = lab.spec("fine_tuning", cut=2)
    assert {each.network(1) for each in lab.train(plain).log} == {0}
    assert "networks" not in plain.to_json()
    assert plain.id == lab.spec("fine_tuning", cut=2, networks=1).id != lab.spec(networks=2, cut=2).id


def test_the_frozen_stages_are_there_once(lab: Lab) -> None:
    one, three = (lab.setup(lab.spec("fine_tuning", cut=2, networks=n)).model for n in (1, 3))
    count = {False: 0, True: 0}
    for name, each in one.named_parameters():
        count[not name.startswith(("stages.stem.", "stages.block1."))] += each.numel()
    assert sum(each.numel() for each in three.parameters()) == count[False] + 3 * count[True]
    assert torch.allclose(three(torch.zeros(1, 3, 32, 32), 0).exp(), torch.full((1, 3), 1 / 3))
