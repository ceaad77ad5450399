"""Several networks in one run: each is trained by the loop as if it were alone, then they answer together.

To whoever watches they are one run: the epochs of the second network follow those of the first, and the last epoch
is that of all together, in which nothing is trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from transfer_core.files import read_kept, write_json
from transfer_core.models.model import Classifier
from transfer_core.training.checkpoint import Standing, find_start, load_best, save_best
from transfer_core.training.events import Ended, EpochEnded, Event, Noted, PhaseStarted
from transfer_core.training.judge import Judge
from transfer_core.training.loop import Emit, Loop
from transfer_core.training.places import make_places
from transfer_core.training.setup import Setup

TOLD = "told.json"  # what a network's latest epoch told of its training
NOTHING: dict[str, Any] = {"train": {"loss": math.nan}, "lr": 0.0}
APART = 1000  # between the seeds of two networks' orders: a run with the next seed has none of them


class Networks:
    """The training of an ensemble, with what a `Loop` has. Call `run` once."""

    def __init__(self, setup: Setup, folder: Path, emit: Emit, should_stop: Callable[[], bool]) -> None:
        self.setup, self.folder, self.emit, self.should_stop = setup, folder, emit, should_stop
        self.standing = Standing()
        self.cache_seconds = 0.0
        self.trained = 0  # networks that there is a model of
        self._each = _epochs_of_each(setup)

    def run(self) -> Ended:
        """Train what is not trained yet; the weights of all together are on disk after."""
        trained: list[Classifier] = []
        epoch, reason = 0, "finished"
        for number, member in enumerate(self.setup.model.members):
            loop = self._make_loop(number, member)
            ended = loop.run()
            self.cache_seconds += loop.cache_seconds
            epoch = number * self._each + ended.epoch
            lost = " ".join(filter(None, (self.standing.mended, loop.standing.mended)))
            seconds = self.standing.seconds + loop.standing.seconds
            self.standing = replace(self.standing, epoch=epoch, seconds=seconds, mended=lost)
            if ended.best:
                member.load_trained(load_best(loop.folder, ended.best))
                trained.append(member)
            if ended.reason in ("stopped", "diverged"):
                reason = ended.reason
                break
        self.trained = len(trained)
        if not trained:
            return self._end(Ended(reason, epoch, 0))
        self._fill_in(trained, epoch)
        return self._end(self._answer_together(len(trained), reason, epoch + 1))

    def _make_loop(self, number: int, member: Classifier) -> Loop:
        folder = network_folder(self.folder, number)
        folder.mkdir(parents=True, exist_ok=True)
        spec = self.setup.spec
        alone = replace(
            self.setup, spec=replace(spec, networks=1), model=member, order=spec.seed + APART * number
        )

        def tell(event: Event) -> None:
            if isinstance(event, Ended):
                return
            if isinstance(event, EpochEnded):
                write_json(folder / TOLD, {"train": dict(event.train), "lr": event.lr})
                seconds = self.standing.seconds + event.seconds
                event = replace(event, epochs=spec.networks * self._each + 1, seconds=seconds)
            elif isinstance(event, PhaseStarted):
                own = f"network {number + 1} of {spec.networks}, {event.name}"
                event = replace(
                    event,
                    name=own,
                    number=event.number + number * event.phases,
                    phases=event.phases * spec.networks,
                )
            self.emit(replace(event, epoch=event.epoch + number * self._each))

        return Loop(alone, folder, tell, self.should_stop)

    def _fill_in(self, trained: list[Classifier], epoch: int) -> None:
        """Let the networks that were trained stand for those that were not, in turn."""
        members, cut = self.setup.model.members, self.setup.spec.cut
        for number, member in enumerate(members):
            if member not in trained:
                member.load_trained(trained[number % len(trained)].trained_state(cut))
        if len(trained) < len(members):
            text = f"{len(trained)} of {len(members)} networks were trained; what is kept are these alone."
            self.emit(Noted(text, epoch))

    def _answer_together(self, trained: int, reason: str, epoch: int) -> Ended:
        """Look at all networks together, and keep them; what is told of training is the mean over those `trained`."""
        setup = self.setup
        model = setup.model.to(setup.device)
        judge = Judge(setup, self.folder)
        with model.in_precision(setup.precision), setup.activations(setup.spec.cut) as activations:
            activations.fill(judge.images, 1)
            found = judge.look(activations, setup.spec.cut, epoch)
        seconds = self.standing.seconds
        self.standing = self.standing.after(epoch, seconds, found.score, found.val, found.target)
        save_best(self.folder, replace(self.standing, best_epoch=epoch), model.trained_state(setup.spec.cut))
        places = [network_folder(self.folder, number) / TOLD for number in range(trained)]
        kept: list[dict[str, Any]] = [read_kept(path, NOTHING) for path in places]
        told = [each for each in kept if each.get("train") and each is not NOTHING] or [NOTHING]
        shared = [name for name in told[0]["train"] if all(name in each["train"] for each in told)]
        train = {name: mean(each["train"][name] for each in told) for name in shared}
        rate = told[-1]["lr"]
        self.emit(EpochEnded(epoch, epoch, train, found.val, rate, seconds, True, found.target))
        return Ended(reason, epoch, epoch)

    def _end(self, ended: Ended) -> Ended:
        self.emit(ended)
        return ended


def make_loop(setup: Setup, folder: Path, emit: Emit, should_stop: Callable[[], bool]) -> Loop | Networks:
    """Return what trains a setup, one network or several."""
    kind = Networks if setup.spec.networks > 1 else Loop
    return kind(setup, folder, emit, should_stop)


def count_done(setup: Setup, folder: Path) -> int:
    """Return after how many epochs of the run a training in this folder goes on."""
    if setup.spec.networks == 1:
        checkpoint, _ = find_start(folder)
        return checkpoint.standing.epoch if checkpoint else 0
    each, done = _epochs_of_each(setup), 0
    for number in range(setup.spec.networks):
        checkpoint, _ = find_start(network_folder(folder, number))
        if checkpoint:
            done = number * each + checkpoint.standing.epoch
    return done


def network_folder(folder: Path, number: int) -> Path:
    """Return where a network of a run keeps its checkpoints."""
    return folder / f"network-{number + 1}"


def _epochs_of_each(setup: Setup) -> int:
    return make_places(setup.strategy.phases(setup.task))[-1].total
