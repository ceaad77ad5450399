"""Checkpoints: enough to go on after a kill as if nothing had happened, written atomically.

In the run's folder: `last.pt` (state at an epoch's end; our own file, and even so read with
`weights_only`) and `best-<epoch>.safetensors` (the weights of the chosen epoch). The epoch is in the
name because a run may be stopped later than its last checkpoint: the best file that the checkpoint
speaks of stays until the next checkpoint.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from transfer_core.errors import UserError
from transfer_core.files import atomic_path, told_as, write_bytes

LAST = "last.pt"


@dataclass(frozen=True)
class Standing:
    """How far a run is and which epoch is the best so far."""

    epoch: int = 0
    seconds: float = 0.0
    best_epoch: int = 0
    best_score: float = math.inf
    best_val: dict[str, float] = field(default_factory=dict)
    best_target: dict[str, float] = field(default_factory=dict)
    since: int = 0  # the epoch after which the present search began
    mended: str = ""  # what was lost with a damaged checkpoint, in a sentence

    def after(
        self, epoch: int, seconds: float, score: float, val: dict[str, float], target: dict[str, float]
    ) -> Standing:
        """Return the standing after an epoch: the lowest finite score is best, ties to the earlier."""
        now = replace(self, epoch=epoch, seconds=seconds)
        if not score < self.best_score:  # NaN is never better
            return now
        return replace(now, best_epoch=epoch, best_score=score, best_val=val, best_target=target)


@dataclass(frozen=True)
class Checkpoint:
    """The whole state of a run at the end of an epoch."""

    standing: Standing
    model: dict[str, Tensor]
    optimiser: dict[str, Any]
    average: dict[str, Tensor] = field(default_factory=dict)  # of the weights, where a phase keeps one


def save_checkpoint(folder: Path, checkpoint: Checkpoint, best: dict[str, Tensor] | None) -> None:
    """Write the best weights (where they changed), then the state; a kill between loses nothing."""
    if best is not None:
        save_best(folder, checkpoint.standing, best)
    content = {
        "standing": asdict(checkpoint.standing),
        "model": checkpoint.model,
        "optimiser": checkpoint.optimiser,
        "average": checkpoint.average,
    }
    with atomic_path(folder / LAST) as part:
        torch.save(content, part)
    for other in folder.glob("best-*.safetensors"):
        if other != _best_path(folder, checkpoint.standing.best_epoch):
            other.unlink()


def save_best(folder: Path, standing: Standing, weights: dict[str, Tensor]) -> None:
    """Write the weights of the chosen epoch, with what is known of it: enough to go on from there."""
    # Not save_file: killed, it leaves a temporary file of its own that nobody sweeps.
    about = {"standing": json.dumps(asdict(standing))}
    write_bytes(_best_path(folder, standing.best_epoch), save(weights, about))


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the state at the end of an epoch, None where no epoch was finished yet; UserError where it is damaged."""
    path = folder / LAST
    if not path.exists():
        return None
    with told_as(f"The checkpoint {path} is damaged."):
        content = torch.load(path, map_location="cpu", weights_only=True)
        return Checkpoint(
            Standing(**content["standing"]), content["model"], content["optimiser"], content["average"]
        )


def load_best(folder: Path, epoch: int) -> dict[str, Tensor]:
    """Return the weights of the chosen epoch; UserError where there are none, or they are damaged."""
    path = _best_path(folder, epoch)
    with told_as(f"The weights {path} are damaged or gone: run this run again with the same settings."):
        return load_file(path)


def find_start(folder: Path) -> tuple[Checkpoint | None, str]:
    """Return from where training goes on, None for its beginning, and what was lost, in a sentence, where something was.

    Where the checkpoint is damaged that is the best epoch until then, without the optimiser's state.
    """
    try:
        checkpoint = load_checkpoint(folder)
        if checkpoint and checkpoint.standing.best_epoch:
            load_best(
                folder, checkpoint.standing.best_epoch
            )  # without it there is nothing to show at the end
        return checkpoint, ""
    except UserError:
        pass
    for path in sorted(folder.glob("best-*.safetensors"), reverse=True):
        with suppress(UserError), told_as("damaged"), safe_open(path, "pt") as stored:
            standing = Standing(**json.loads(stored.metadata()["standing"]))
            lost = (
                f"A checkpoint was damaged: training went on from epoch {standing.best_epoch}, the best until then, "
                "with a fresh optimiser."
            )
            standing = replace(standing, epoch=standing.best_epoch, mended=lost)
            return Checkpoint(standing, load_file(path), {}), lost
    return None, "A checkpoint was damaged, and so were the best epoch's weights: training began anew."


def _best_path(folder: Path, epoch: int) -> Path:
    return folder / f"best-{epoch:05d}.safetensors"
