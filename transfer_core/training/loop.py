"""The one loop that plays any list of phases.

It owns optimiser steps, precision, clipping, the cache, checkpoints, events, stop and resume. All
randomness is drawn anew at the start of each epoch from (seed, epoch), so a run resumed at an epoch's
end is bit for bit the run that was never interrupted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from transfer_core.models.activations import Activations
from transfer_core.models.device import describe_load
from transfer_core.models.statistics import freeze_batch_norm
from transfer_core.strategies import Batch, Phase, StepLoss
from transfer_core.strategies.base import Loss
from transfer_core.training.average import WeightAverage
from transfer_core.training.checkpoint import (
    Checkpoint,
    Standing,
    find_start,
    load_best,
    save_best,
    save_checkpoint,
)
from transfer_core.training.course import MEASURING
from transfer_core.training.domains import measure_domains
from transfer_core.training.events import (
    Ended,
    EpochEnded,
    Event,
    Noted,
    PhaseStarted,
    Progressed,
    Saving,
    Stepped,
)
from transfer_core.training.feed import Feed
from transfer_core.training.filling import Needed, fill
from transfer_core.training.judge import Judge
from transfer_core.training.meter import Meter
from transfer_core.training.optimise import learning_rate, make_optimiser
from transfer_core.training.places import Place, make_places
from transfer_core.training.setup import Setup

Emit = Callable[[Event], None]
CLIP = 5.0  # gradient norm; far above normal steps, it only tames the rare explosion
SAVE_SHARE = 0.01  # of the time may go into checkpoints


class Stopped(Exception):
    """The user asked to stop."""


class Diverged(Exception):
    """The loss is no longer a number."""


class Loop:
    """One run of training. Call `run` once."""

    def __init__(self, setup: Setup, folder: Path, emit: Emit, should_stop: Callable[[], bool]) -> None:
        self.setup, self.spec, self.model = setup, setup.spec, setup.model
        self.folder, self.emit, self.should_stop = folder, emit, should_stop
        self.standing = Standing()
        self.cache_seconds = 0.0
        self.trained = 1  # networks
        self._best: dict[str, Tensor] | None = None  # not yet written
        self._average: WeightAverage | None = None
        self._saved_at, self._save_took = time.monotonic(), 0.0
        self._feed, self._judge = Feed(setup), Judge(setup, folder)
        self._anchors: dict[str, Tensor] = {}

    def run(self) -> Ended:
        """Train all phases, from the checkpoint where there is one; the best epoch is on disk after."""
        self.model.to(self.setup.device).to(memory_format=torch.channels_last)
        phases = self.setup.strategy.phases(self.setup.task)
        if any(phase.anchor for phase in phases):
            self._anchors = {
                name: each.detach().clone() for name, each in self.model.stages.named_parameters()
            }
        checkpoint, lost = find_start(self.folder)
        if checkpoint:
            self.standing = checkpoint.standing
            self.model.load_trained(checkpoint.model)
        if lost:
            self.standing = replace(self.standing, mended=lost)
            self.emit(Noted(lost, self.standing.epoch))
        try:
            if not checkpoint and self.setup.measures_domains:
                self._measure_domains()
            with self.model.in_precision(self.setup.precision):
                reason = self._play(phases, checkpoint)
        except Stopped:
            reason = "stopped"
        except Diverged:
            reason = "diverged"
        if self._best is not None:  # stopped inside an epoch: the best of those before is kept
            save_best(self.folder, self.standing, self._best)
        ended = Ended(reason, self.standing.epoch, self.standing.best_epoch)
        self.emit(ended)
        return ended

    def _measure_domains(self) -> None:
        def tell(done: int, total: int) -> bool:
            self.emit(Progressed(MEASURING, done, total, 0))
            return not self.should_stop()

        if not measure_domains(self.setup, tell):
            raise Stopped

    def _play(self, phases: list[Phase], checkpoint: Checkpoint | None) -> str:
        for phase, place in zip(phases, make_places(phases), strict=True):
            begun = self.standing.epoch > place.first
            skipped = self._patience_is_over() and (phase.continues or begun)
            if self.standing.epoch < place.last and not skipped:
                self._play_phase(phase, place, checkpoint if begun else None)
                checkpoint = None
        return "finished" if self.standing.epoch == sum(phase.epochs for phase in phases) else "early"

    def _play_phase(self, phase: Phase, place: Place, checkpoint: Checkpoint | None) -> None:
        """Play a phase up to its last epoch, or until patience runs out; `checkpoint` is one inside it."""
        if not checkpoint:
            self._begin(phase, place)
        optimiser, parameters = make_optimiser(phase, self.model)
        self._average = WeightAverage(self.model, self.spec.cut, phase.average) if phase.average else None
        self.model.averaged = self._average.applied if self._average else nullcontext
        if checkpoint:
            if checkpoint.optimiser:  # the best epoch's weights come without
                optimiser.load_state_dict(checkpoint.optimiser)
            if self._average and checkpoint.average:
                self._average.load(checkpoint.average)
        count = sum(each.numel() for each in self.model.kept(phase.modules))
        self.emit(
            PhaseStarted(
                phase.name, place.number, place.phases, phase.cut, count, self.standing.epoch, phase.continues
            )
        )
        with self.setup.activations(phase.cut) as activations:
            self._fill(phase, activations)
            for epoch in range(max(place.first, self.standing.epoch) + 1, place.last + 1):
                self._play_epoch(phase, place, epoch, optimiser, parameters, activations)
                over = self._patience_is_over()
                self._save_if_due(optimiser, last=over or epoch == place.total)
                if over:
                    return

    def _begin(self, phase: Phase, place: Place) -> None:
        """Put the model and the standing into the state in which a phase starts."""
        if phase.starts_from == "best" and self.standing.best_epoch:
            best = self._best or load_best(self.folder, self.standing.best_epoch)
            self.model.load_trained(best)
        if phase.selects == "anew":
            self.standing = replace(self.standing, best_score=math.inf)
        if not phase.continues:
            self.standing = replace(self.standing, since=place.first)
        self._set_training(phase)
        if phase.before:
            phase.before(self.model)

    def _fill(self, phase: Phase, activations: Activations) -> None:
        started = time.monotonic()
        needed = Needed(self._feed.train, self._judge.images, self._feed.unlabelled)

        def emit(event: Event) -> bool:
            self.emit(replace(event, epoch=self.standing.epoch))
            return not self.should_stop()

        if not fill(self.setup, phase, needed, activations, emit):
            raise Stopped
        self.cache_seconds += time.monotonic() - started

    def _play_epoch(
        self,
        phase: Phase,
        place: Place,
        epoch: int,
        optimiser: torch.optim.Optimizer,
        parameters: list[nn.Parameter],
        activations: Activations,
    ) -> None:
        started = time.monotonic()
        torch.manual_seed(self.setup.order * 1_000_003 + epoch)
        self._set_training(phase)
        meter = Meter()
        steps = self._feed.count_steps(phase)
        for step, batch in enumerate(self._feed.batches(phase, epoch, activations), start=1):
            if self.should_stop():
                raise Stopped
            now = epoch - 1 + (step - 1) / steps
            progress, rate = place.progress(now), learning_rate(phase, place.progress(now), place.within(now))
            for group in optimiser.param_groups:
                group["lr"] = rate * group.get("factor", 1.0)
            self._step(phase, batch, progress, optimiser, parameters, meter)
            if meter.is_due() or step == steps:
                if not math.isfinite(meter.mean_loss()):
                    raise Diverged
                load = describe_load(self.spec.device)
                self.emit(Stepped(epoch, step, steps, meter.mean_loss(), meter.speed(), load))
        with self._average.applied() if self._average else nullcontext():
            self._finish_epoch(phase, place, epoch, meter, started, activations)

    def _finish_epoch(
        self, phase: Phase, place: Place, epoch: int, meter: Meter, started: float, activations: Activations
    ) -> None:
        found = self._judge.look(activations, phase.cut, epoch)
        score = math.nan if phase.selects == "never" else found.score
        seconds = self.standing.seconds + time.monotonic() - started
        self.standing = self.standing.after(epoch, seconds, score, found.val, found.target)
        best = self.standing.best_epoch == epoch
        if best:
            self._best = self.model.trained_state(self.spec.cut)
        rate = learning_rate(phase, place.progress(epoch), place.within(epoch))
        ended = EpochEnded(
            epoch, place.total, meter.figures(), found.val, rate, seconds, best, found.target, meter.facts()
        )
        self.emit(ended)

    def _step(
        self,
        phase: Phase,
        batch: Batch,
        progress: float,
        optimiser: torch.optim.Optimizer,
        parameters: list[nn.Parameter],
        meter: Meter,
    ) -> None:
        def forward(loss: Loss = phase.loss) -> StepLoss:
            return self._anchored(phase, loss(self.model, batch, progress))

        def backward(outcome: StepLoss) -> Tensor:
            optimiser.zero_grad(set_to_none=True)
            loss = torch.stack(list(outcome.terms.values())).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach()

        if phase.optimiser == "none":
            with torch.no_grad():
                outcome = forward()
        elif phase.optimiser == "lbfgs":
            optimiser.step(lambda: backward(forward()).item())
            with torch.no_grad():
                outcome = forward()  # at the solution, not on the way there
        else:
            outcome = forward()
            backward(outcome)
            torch.nn.utils.clip_grad_norm_(parameters, CLIP)
            optimiser.step()
        meter.see(outcome, batch.y[batch.support :])
        for turn in phase.turns:
            own = {id(each) for name in turn.modules for each in self.model.part(name).parameters()}
            for _ in range(turn.times):
                outcome = forward(turn.loss)
                backward(outcome)
                for each in parameters:
                    each.grad = each.grad if id(each) in own else None
                torch.nn.utils.clip_grad_norm_(parameters, CLIP)
                optimiser.step()
            meter.see_more(outcome)
        if self._average:
            self._average.update()
        meter.count(len(batch.x))

    def _anchored(self, phase: Phase, outcome: StepLoss) -> StepLoss:
        """Add the pull of the stages towards the weights they started from (L2-SP, Li et al. 2018)."""
        if not phase.anchor:
            return outcome
        moved = [
            (each - self._anchors[name]).square().sum()
            for name, each in self.model.stages.named_parameters()
            if each.requires_grad
        ]
        pull = phase.anchor / 2 * torch.stack(moved).sum() if moved else outcome.logits.sum() * 0
        return replace(outcome, terms={**outcome.terms, "pull to pretrained": pull})

    def _set_training(self, phase: Phase) -> None:
        self.model.train_only(phase.modules, phase.cut)
        if phase.freeze_batch_norm:
            freeze_batch_norm(self.model)

    def _patience_is_over(self) -> bool:
        waited = self.standing.epoch - max(self.standing.best_epoch, self.standing.since)
        return 0 < self.spec.patience <= waited and self.standing.best_epoch > 0

    def _save_if_due(self, optimiser: torch.optim.Optimizer, *, last: bool) -> None:
        waited = time.monotonic() - self._saved_at
        if last or waited * SAVE_SHARE > max(self._save_took, 0.02):
            self._save(optimiser)

    def _save(self, optimiser: torch.optim.Optimizer) -> None:
        started = time.monotonic()
        self.emit(Saving(self.standing.epoch))
        state = self.model.trained_state(self.spec.cut)
        average = self._average.state() if self._average else {}
        checkpoint = Checkpoint(self.standing, state, optimiser.state_dict(), average)
        save_checkpoint(self.folder, checkpoint, self._best)
        self._best = None
        self._saved_at = time.monotonic()
        self._save_took = self._saved_at - started
