"""The contract, where training is interrupted: every strategy goes on as if it had not been."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from torch.optim.optimizer import register_optimizer_step_post_hook

from tests.strategies.contract import cuts, every
from tests.support import Lab, Outcome, same_tensors, without_times
from transfer_core.strategies import Strategy
from transfer_core.training import loop
from transfer_core.training.checkpoint import load_checkpoint
from transfer_core.training.events import Ended, EpochEnded, Event, Saving
from transfer_core.training.spec import RunSpec

ONE_SHOT = {"adabn", "prototypical", "meta_transfer"}  # their last phase is too short to lose patience


class Kill(Exception):
    """Stands for `kill -9`: nothing in the loop catches it."""


def train_through_kills(
    lab: Lab,
    spec: RunSpec,
    kills: Iterator[Callable[[Event], bool]],
    folder: str,
    before: Sequence[Event] = (),
) -> tuple[Outcome, list[EpochEnded]]:
    """Train in one folder through kills; what was told, there and `before`, is kept as the store keeps it."""
    where = lab.home / folder
    told: list[Event] = list(before)
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


@every
@pytest.mark.parametrize(
    ("patience", "share"),
    [(0, math.inf), (1, math.inf), (1, 0.0)],
    ids=["to the end", "early", "early, saved at the end"],
)
def test_resumed_equals_uninterrupted(
    lab: Lab, strategy: type[Strategy], patience: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at any event: the same end, weights and history as if nothing had happened.

    What a kill leaves behind is the folder as it is at that moment: it is copied, and training goes on in the copy.
    """
    monkeypatch.setattr(loop, "SAVE_SHARE", share)
    knobs: dict[str, Any] = {"lr": 0.1} if strategy.freezes != "all" else {}
    epochs = 5 if patience else 3
    spec = lab.spec(strategy.name, **cuts(strategy), **knobs, epochs=epochs, patience=patience)
    folder, told, left = lab.home / "whole", list[Event](), list[tuple[list[Event], Path]]()

    def emit(event: Event) -> None:
        told.append(event)
        if isinstance(
            event, (Saving, EpochEnded, Ended)
        ):  # after the last word, before anybody tested the model
            folder.mkdir(exist_ok=True)
            left.append((list(told), shutil.copytree(folder, lab.home / f"killed-{len(left)}")))

    whole = lab.train(spec, folder=folder, emit=emit)
    if patience and strategy.name not in ONE_SHOT:
        assert whole.ended.reason == "early"
    assert len(left) > 2
    for before, where in left:
        resumed, history = train_through_kills(lab, spec, iter(()), where.name, before)
        assert resumed.ended == whole.ended, where
        assert history == whole.log, where
        assert same_tensors(resumed.best, whole.best), where
        assert same_tensors(resumed.last, whole.last), where


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
