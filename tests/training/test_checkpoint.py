"""Checkpoints: the right epoch is best, no foreign code is run, and a kill leaves the old one whole."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.support import Lab, same_tensors
from transfer_core.errors import UserError
from transfer_core.files import sweep_parts
from transfer_core.training.checkpoint import (
    LAST,
    Checkpoint,
    Standing,
    find_start,
    load_best,
    load_checkpoint,
    save_checkpoint,
)
from transfer_core.training.events import Noted


def best_of(*losses: float) -> int:
    standing = Standing()
    for epoch, loss in enumerate(losses, start=1):
        standing = standing.after(epoch, 0.0, loss, {"loss": loss}, {})
    assert standing.epoch == len(losses)
    return standing.best_epoch


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ((3, 2, 1), 3),
        ((1, 2, 3), 1),
        ((2, 1, 1), 2),
        ((math.nan, 2, 3), 2),
        ((2, math.nan, 1), 3),
        ((math.nan, math.nan), 0),
        ((math.inf, 5), 2),
        ((math.inf,), 0),
        ((), 0),
    ],
)
def test_the_lowest_finite_loss_is_best_and_ties_go_to_the_earlier(
    losses: tuple[float, ...], best: int
) -> None:
    assert best_of(*losses) == best


def test_best_keeps_the_figures_of_its_own_epoch() -> None:
    standing = Standing().after(1, 1.0, 1.0, {"loss": 1.0, "accuracy": 0.5}, {"a": 1.0})
    standing = standing.after(2, 2.0, 2.0, {"loss": 2.0, "accuracy": 0.9}, {}).after(3, 3.0, math.nan, {}, {})
    assert standing == Standing(3, 3.0, 1, 1.0, {"loss": 1.0, "accuracy": 0.5}, {"a": 1.0})


def make(epoch: int, value: float, best: int | None = None) -> Checkpoint:
    standing = Standing(epoch, 1.0, best or epoch, 0.5, {"loss": 0.5})
    return Checkpoint(standing, {"w": torch.full((4,), value)}, {"state": {}, "param_groups": [{"lr": 0.1}]})


def test_what_is_saved_is_loaded_and_only_the_best_stays(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None
    for epoch in (1, 2):
        save_checkpoint(tmp_path, make(epoch, epoch), {"w": torch.full((4,), epoch * 10.0)})
    save_checkpoint(tmp_path, make(3, 3.0, best=2), None)
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert (loaded.standing, loaded.optimiser) == (make(3, 3.0, best=2).standing, make(3, 3.0).optimiser)
    assert torch.equal(loaded.model["w"], torch.full((4,), 3.0))
    assert torch.equal(load_best(tmp_path, 2)["w"], torch.full((4,), 20.0))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["best-00002.safetensors", LAST]


class Evil:
    """Runs code when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_doctored_checkpoint_is_refused_and_its_code_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "was-here"
    torch.save({"standing": {}, "model": Evil(mark), "optimiser": {}}, tmp_path / LAST)
    with pytest.raises(UserError, match="damaged") as refused:
        load_checkpoint(tmp_path)
    assert isinstance(refused.value.__cause__, pickle.UnpicklingError)
    assert not mark.exists()


KILLED = """
import sys, torch
from pathlib import Path
from transfer_core.training.checkpoint import Checkpoint, Standing, save_checkpoint
epoch = 0
while True:
    epoch += 1
    weights = {"w": torch.full((3_000_000,), float(epoch))}
    checkpoint = Checkpoint(Standing(epoch, 1.0, epoch, 0.5, {"loss": 0.5}), weights, {})
    save_checkpoint(Path(sys.argv[1]), checkpoint, weights)
    print(epoch, flush=True)
"""


def test_a_kill_while_saving_leaves_a_whole_checkpoint_with_its_best(tmp_path: Path) -> None:
    """Killed at many moments of many saves: never torn, never older than what was reported saved."""
    for kill in range(3):
        folder = tmp_path / str(kill)
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            said = [int(child.stdout.readline()) for _ in range(2)]
            time.sleep(0.007 * (kill + 1))  # somewhere within the next save
            child.kill()
            said += [int(line) for line in child.stdout]
        loaded = load_checkpoint(folder)
        assert loaded is not None
        assert loaded.standing.epoch in (said[-1], said[-1] + 1)
        assert bool((loaded.model["w"] == loaded.standing.epoch).all())
        assert bool((load_best(folder, loaded.standing.best_epoch)["w"] == loaded.standing.epoch).all())
        sweep_parts(folder)
        assert not list(folder.glob(".*"))
        assert len(list(folder.glob("*"))) <= 3


def test_a_failing_save_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, make(1, 1.0), {"w": torch.ones(4)})

    def fail(_content: object, part: Path) -> None:
        part.write_bytes(b"half")
        raise RuntimeError("enforce fail: disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(RuntimeError):
        save_checkpoint(tmp_path, make(2, 2.0), {"w": torch.zeros(4)})
    loaded = load_checkpoint(tmp_path)
    assert loaded is not None
    assert loaded.standing.epoch == 1
    assert torch.equal(load_best(tmp_path, 1)["w"], torch.ones(4))
    assert not list(tmp_path.glob(".*.part"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("both", [False, True], ids=["checkpoint", "and best"])
def test_a_damaged_checkpoint_goes_on_from_the_best_epoch_or_anew_and_says_so(lab: Lab, both: bool) -> None:
    whole = lab.train(lab.spec(cut=2))
    (best,) = whole.folder.glob("best-*")
    epoch = whole.ended.best
    cut(whole.folder / LAST)
    if both:
        cut(best)
    start, lost = find_start(whole.folder)
    again = lab.train(lab.spec(cut=2), folder=whole.folder)
    notes = [each for each in again.events if isinstance(each, Noted)]
    assert [each.text for each in notes] == [lost]
    checkpoint, _ = find_start(whole.folder)
    assert checkpoint is not None
    assert checkpoint.standing.mended == lost, "the report will say so, however often it is resumed"
    if both:
        assert start is None
        assert "anew" in lost
        assert again.log == whole.log
        assert same_tensors(again.best, whole.best)
    else:
        assert start is not None
        assert (start.standing.epoch, start.standing.best_epoch) == (epoch, epoch)
        assert f"from epoch {epoch}," in lost
        assert [each.epoch for each in again.log] == [each.epoch for each in whole.log if each.epoch > epoch]
    assert again.ended.epoch == whole.ended.epoch
