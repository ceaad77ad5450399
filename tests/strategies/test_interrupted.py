"""The contract, where training is interrupted: every strategy goes on as if it had not been."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from torch.optim.optimizer import register_optimizer_step_post_hook

from tests.strategies.contract import cuts, every
from tests.support import Lab, Outcome, same_tensors, without_times
from transfer_core.strategies import Strategy
from transfer_core.training import loop
from transfer_core.training.checkpoint import load_checkpoint
from transfer_core.training.events import EpochEnded, Event, Saving
from transfer_core.training.spec import RunSpec

ONE_SHOT = {"adabn", "prototypical", "meta_transfer"}  # their last phase is too short to lose patience


class Kill(Exception):
    """Stands for `kill -9`: nothing in the loop catches it."""


def train_through_kills(
    lab: Lab, spec: RunSpec, kills: Iterator[Callable[[Event], bool]], folder: str
) -> tuple[Outcome, list[EpochEnded]]:
    """Train in one folder through kills; what was told is kept as the store keeps it."""
    where = lab.home / folder
    told: list[Event] = []
    while True:
        checkpoint = load_checkpoint(where)
        reached = checkpoint.standing.epoch if checkpoint else 0
        told = [each for each in without_times(told) if each.epoch <= reached]
        is_deadly = next(kills, lambda _: False)

        def emit(
            event: Event, told: list[Event] = told, is_deadly: Callable[[Event], bool] = is_deadly
        ) -> None:
            told.append(event)
            if is_deadly(event):
                raise Kill

        try:
            outcome = lab.train(spec, folder=where, emit=emit)
        except Kill:
            continue
        return outcome, without_times(told)


def at(index: int) -> Callable[[Event], bool]:
    """Deadly is the event of this number."""
    count = iter(range(1000))
    return lambda _: next(count) == index


@every
@pytest.mark.parametrize("share", [math.inf, 0.0], ids=["saved each epoch", "saved at the end"])
@pytest.mark.parametrize("patience", [0, 1], ids=["to the end", "early"])
def test_resumed_equals_uninterrupted(
    lab: Lab, strategy: type[Strategy], share: float, patience: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at any event: the same end, weights and history as if nothing had happened."""
    monkeypatch.setattr(loop, "SAVE_SHARE", share)
    knobs: dict[str, Any] = {"lr": 0.1} if strategy.freezes != "all" else {}
    epochs = 5 if patience else 3
    spec = lab.spec(strategy.name, **cuts(strategy), **knobs, epochs=epochs, patience=patience)
    whole = lab.train(spec)
    if patience and strategy.name not in ONE_SHOT:
        assert whole.ended.reason == "early"
    points = [index for index, each in enumerate(whole.events) if isinstance(each, (Saving, EpochEnded))]
    points.append(len(whole.events) - 1)  # after the last word, before anybody tested the model
    for point in points:
        resumed, told = train_through_kills(lab, spec, iter([at(point)]), f"killed-{point}")
        assert resumed.ended == whole.ended, point
        assert told == whole.log, point
        assert same_tensors(resumed.best, whole.best), point
        assert same_tensors(resumed.last, whole.last), point


@every
def test_many_kills_in_a_row_change_nothing(
    lab: Lab, strategy: type[Strategy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_SHARE", math.inf)
    spec = lab.spec(strategy.name, **cuts(strategy), augment="mirror", epochs=4)
    whole = lab.train(spec)

    def second_saving() -> Callable[[Event], bool]:
        count = iter(range(1000))
        return lambda event: isinstance(event, Saving) and next(count) == 1

    resumed, told = train_through_kills(lab, spec, (second_saving() for _ in range(3)), "killed")
    assert (resumed.ended, told) == (whole.ended, whole.log)
    assert same_tensors(resumed.best, whole.best)


@every
def test_stops_within_one_step_and_goes_on_as_if_it_had_not(lab: Lab, strategy: type[Strategy]) -> None:
    spec = lab.spec(strategy.name, **cuts(strategy))
    whole = lab.train(spec)
    updates = 1 + sum(turn.times for turn in whole.setup.strategy.phases(whole.setup.task)[0].turns)
    measured = (
        2 if whole.setup.measures_domains else 0
    )  # questions while two domains are measured, a batch each
    for wanted_at in (1, 2, 5):
        answers: list[bool] = []
        late: list[bool] = []  # for each step of the optimiser: was it after the stop was asked for?

        def should_stop(answers: list[bool] = answers, wanted_at: int = wanted_at) -> bool:
            answers.append(len(answers) + 1 >= wanted_at)
            return answers[-1]

        def count(*_: object, answers: list[bool] = answers, late: list[bool] = late) -> None:
            late.append(answers[-1])

        folder = lab.home / f"stopped-{wanted_at}"
        handle = register_optimizer_step_post_hook(count)
        try:
            stopped = lab.train(spec, folder=folder, should_stop=should_stop)
        finally:
            handle.remove()
        assert stopped.ended.reason == "stopped"
        asked = "one question before each step, and none after"
        assert (len(late), sum(late)) == (max(0, wanted_at - 1 - measured) * updates, 0), asked
        assert stopped.ended.epoch < 3
        if stopped.ended.best:
            assert stopped.log == whole.log[: stopped.ended.epoch]
            assert stopped.best.keys() == whole.best.keys()
        resumed = lab.train(spec, folder=folder)
        assert resumed.ended == whole.ended
        assert same_tensors(resumed.last, whole.last)
