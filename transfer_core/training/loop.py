"""The one loop that plays any list of phases.

It owns optimiser steps, precision, clipping, the cache, checkpoints, events, stop and resume. All
randomness is drawn anew at the start of each epoch from (seed, epoch), so a run resumed at an epoch's
end is bit for bit the run that was never interrupted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from transfer_core.data.batches import make_batches
from transfer_core.models.activations import Activations
from transfer_core.models.device import autocast, describe_load
from transfer_core.models.model import freeze_batch_norm
from transfer_core.strategies import Batch, Phase, StepLoss
from transfer_core.training.average import WeightAverage
from transfer_core.training.checkpoint import (
    Checkpoint,
    Standing,
    load_checkpoint,
    save_best,
    save_checkpoint,
)
from transfer_core.training.events import Ended, EpochEnded, Event, PhaseStarted, Progressed, Saving, Stepped
from transfer_core.training.meter import Meter
from transfer_core.training.optimise import learning_rate, make_optimiser
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
        self._best: dict[str, Tensor] | None = None  # not yet written
        self._average: WeightAverage | None = None
        self._full: dict[int, Tensor] = {}
        self._saved_at, self._save_took = time.monotonic(), 0.0
        self._images = {part: setup.split.part(part) for part in ("train", "val")}
        self._targets = {part: setup.targets(images) for part, images in self._images.items()}
        self._row = {image: row for row, image in enumerate(self._images["train"])}

    def run(self) -> Ended:
        """Train all phases, from the checkpoint where there is one; the best epoch is on disk after."""
        self.model.to(self.setup.device).to(memory_format=torch.channels_last)
        checkpoint = load_checkpoint(self.folder)
        if checkpoint:
            self.standing = checkpoint.standing
            self.model.load_trained(checkpoint.model)
        try:
            reason = self._play(checkpoint)
        except Stopped:
            reason = "stopped"
        except Diverged:
            reason = "diverged"
        if self._best is not None:  # stopped inside an epoch: the best of those before is kept
            save_best(self.folder, self.standing.best_epoch, self._best)
        ended = Ended(reason, self.standing.epoch, self.standing.best_epoch)
        self.emit(ended)
        return ended

    def _play(self, checkpoint: Checkpoint | None) -> str:
        phases = self.setup.spec.make_strategy().phases(self.setup.task)
        total = sum(phase.epochs for phase in phases)
        first = 0
        for number, phase in enumerate(phases, start=1):
            last = first + phase.epochs
            if self.standing.epoch < last and not self._patience_is_over():
                inside = checkpoint if self.standing.epoch > first else None
                checkpoint = None
                self._play_phase(phase, number, len(phases), last, total, inside)
            first = last
        return "finished" if self.standing.epoch == total else "early"

    def _play_phase(
        self, phase: Phase, number: int, phases: int, last: int, total: int, checkpoint: Checkpoint | None
    ) -> None:
        """Play a phase up to epoch `last`, or until patience runs out; `checkpoint` is one inside it."""
        self.model.freeze_below(phase.cut)
        if phase.before and not checkpoint:
            phase.before(self.model)
        optimiser, parameters = make_optimiser(phase, self.model)
        self._average = WeightAverage(self.model, self.spec.cut, phase.average) if phase.average else None
        if checkpoint:
            optimiser.load_state_dict(checkpoint.optimiser)
            if self._average:
                self._average.load(checkpoint.average)
        count = sum(each.numel() for each in parameters)
        self.emit(PhaseStarted(phase.name, number, phases, phase.cut, count, self.standing.epoch))
        with self.setup.activations(phase.cut) as activations:
            self._fill(activations)
            for epoch in range(self.standing.epoch + 1, last + 1):
                self._play_epoch(phase, epoch, total, optimiser, parameters, activations)
                over = self._patience_is_over()
                if phase.after and (over or epoch == last):
                    phase.after(self.model)  # before the checkpoint: a run killed here must not miss it
                self._save_if_due(optimiser, last=over or epoch == total)
                if over:
                    return

    def _fill(self, activations: Activations) -> None:
        started = time.monotonic()

        def tell(done: int, total: int) -> bool:
            self.emit(Progressed("Computing the frozen part once", done, total, self.standing.epoch))
            return not self.should_stop()

        if not activations.fill(
            self._images["train"], self.spec.views, progress=tell
        ) or not activations.fill(self._images["val"], 1, progress=tell):
            raise Stopped
        self.cache_seconds += time.monotonic() - started

    def _play_epoch(
        self,
        phase: Phase,
        epoch: int,
        total: int,
        optimiser: torch.optim.Optimizer,
        parameters: list[nn.Parameter],
        activations: Activations,
    ) -> None:
        started = time.monotonic()
        torch.manual_seed(self.spec.seed * 1_000_003 + epoch)
        self._set_training(phase)
        meter = Meter()
        steps = self._count_steps(phase)
        for step, batch in enumerate(self._batches(phase, epoch, activations), start=1):
            if self.should_stop():
                raise Stopped
            progress = (epoch - 1 + (step - 1) / steps) / total
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(phase, progress) * group["factor"]
            self._step(phase, batch, progress, optimiser, parameters, meter)
            if meter.is_due() or step == steps:
                if not math.isfinite(meter.mean_loss()):
                    raise Diverged
                load = describe_load(self.spec.device)
                self.emit(Stepped(epoch, step, steps, meter.mean_loss(), meter.speed(), load))
        with self._average.applied() if self._average else nullcontext():
            val = self.evaluate(activations, phase.cut)
            self._finish_epoch(epoch, total, meter.figures(), val, started, phase, epoch / total)

    def _finish_epoch(
        self,
        epoch: int,
        total: int,
        train: dict[str, float],
        val: dict[str, float],
        started: float,
        phase: Phase,
        progress: float,
    ) -> None:
        seconds = self.standing.seconds + time.monotonic() - started
        self.standing = self.standing.after(epoch, seconds, val)
        best = self.standing.best_epoch == epoch
        if best:
            self._best = self.model.trained_state(self.spec.cut)
        self.emit(EpochEnded(epoch, total, train, val, learning_rate(phase, progress), seconds, best))

    def _step(
        self,
        phase: Phase,
        batch: Batch,
        progress: float,
        optimiser: torch.optim.Optimizer,
        parameters: list[nn.Parameter],
        meter: Meter,
    ) -> None:
        def forward() -> StepLoss:
            with autocast(self.setup.device, self.spec.precision):
                return phase.loss(self.model, batch, progress)

        def backward(outcome: StepLoss) -> Tensor:
            optimiser.zero_grad(set_to_none=True)
            loss = torch.stack([term.float() for term in outcome.terms.values()]).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach()

        if phase.optimiser == "lbfgs":
            optimiser.step(lambda: backward(forward()).item())
            with torch.no_grad():
                outcome = forward()  # at the solution, not on the way there
        else:
            outcome = forward()
            backward(outcome)
            torch.nn.utils.clip_grad_norm_(parameters, CLIP)
            optimiser.step()
        if self._average:
            self._average.update()
        meter.see(outcome, batch.y)
        meter.count(len(batch.y))

    def _set_training(self, phase: Phase) -> None:
        self.model.freeze_below(phase.cut)
        if phase.freeze_batch_norm:
            freeze_batch_norm(self.model)

    def _count_steps(self, phase: Phase) -> int:
        if phase.batches == "full":
            return phase.steps
        return len(make_batches(self._images["train"], self.spec.batch_size, 1, seed=0, epoch=0))

    def _batches(self, phase: Phase, epoch: int, activations: Activations) -> Iterator[Batch]:
        if phase.batches == "full":
            x = self._all_views(phase.cut, activations)
            y = self._targets["train"].repeat(max(1, self.spec.views))
            for _ in range(phase.steps):
                yield Batch(x, y)
            return
        plan = make_batches(
            self._images["train"], self.spec.batch_size, self.spec.views, seed=self.spec.seed, epoch=epoch
        )
        for (images, _), x in zip(plan, activations.batches(plan, epoch), strict=True):
            rows = [self._row[image] for image in images]
            yield Batch(x, self._targets["train"][rows], rows=tuple(images))

    def _all_views(self, cut: int, activations: Activations) -> Tensor:
        """Return the training images in all their views [views * n, d], read once."""
        if cut not in self._full:
            images = self._images["train"]
            views = range(max(1, self.spec.views))
            parts = [activations.at_cut(images, [view] * len(images)) for view in views]
            self._full[cut] = torch.cat(parts)
        return self._full[cut]

    @torch.no_grad()
    def evaluate(self, activations: Activations, cut: int) -> dict[str, float]:
        """Return loss (weighted as in training), accuracy and balanced accuracy on validation."""
        self.model.eval()
        images, targets = self._images["val"], self._targets["val"]
        plan = [(images[at : at + 64], [0] * len(images[at : at + 64])) for at in range(0, len(images), 64)]
        with autocast(self.setup.device, self.spec.precision):
            logits = torch.cat([self.model(x, cut) for x in activations.batches(plan)]).float()
        weights = logits.new_tensor(self.setup.task.class_weights)
        hits = (logits.argmax(1) == targets).float()
        recalls = [hits[targets == each].mean().item() for each in sorted(set(targets.tolist()))]
        return {
            "loss": cross_entropy(logits, targets, weights).item(),
            "accuracy": hits.mean().item(),
            "balanced_accuracy": sum(recalls) / len(recalls),
        }

    def _patience_is_over(self) -> bool:
        waited = self.standing.epoch - self.standing.best_epoch
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
