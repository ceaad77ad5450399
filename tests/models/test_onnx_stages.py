"""Frozen stages by ONNX Runtime keep the laws of the frozen prefix, and compute what torch computes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from transfer_core.models.backbones import BACKBONES, get_backbone
from transfer_core.models.loading import make_stages
from transfer_core.models.onnx_stages import TOLERANCE
from transfer_core.models.prefix import Prefix, choose_engine

CPU = torch.device("cpu")
BACKBONE = get_backbone("lite0").at_size(64)
STORED, CUT, ALL = 4, 6, len(BACKBONE.stages)
PIXELS = np.random.default_rng(0).integers(0, 256, (19, 3, 64, 64), dtype=np.uint8)


def stages(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    made = make_stages(BACKBONE)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):  # as if trained: not the identity
            module.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr]
    return made.eval()


def through(prefix: Prefix, pixels: np.ndarray = PIXELS) -> Tensor:
    return prefix.from_stored(prefix.to_stored(pixels))


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("graphs")


@pytest.mark.parametrize(("stored", "cut"), [(0, CUT), (STORED, CUT), (CUT, CUT), (ALL, ALL)])
def test_it_computes_what_torch_computes(graphs: Path, stored: int, cut: int) -> None:
    own, other = (Prefix(stages(), cut, stored, BACKBONE, CPU, each) for each in (graphs, None))
    made, wanted = through(own), through(other)
    assert made.shape == wanted.shape
    assert made.stride() == wanted.stride()  # what trains on it meets one layout in memory
    rounding = 4e-3 if 0 < stored < ALL else 0  # maps are kept in half precision
    torch.testing.assert_close(
        made, wanted, rtol=rounding, atol=(TOLERANCE + rounding) * float(wanted.max() - wanted.min())
    )
    assert own.engine != other.engine or not stored


def test_one_graph_serves_all_weights(graphs: Path) -> None:
    first, second = (Prefix(stages(seed), ALL, ALL, BACKBONE, CPU, graphs) for seed in (1, 2))
    through(first)
    before = sorted(graphs.iterdir())
    wanted = through(Prefix(stages(2), ALL, ALL, BACKBONE, CPU))
    torch.testing.assert_close(
        through(second), wanted, rtol=0, atol=TOLERANCE * float(wanted.max() - wanted.min())
    )
    assert sorted(graphs.iterdir()) == before
    assert all(each.stat().st_size < 500_000 for each in before), "without weights"


@pytest.mark.parametrize("harm", [lambda path: path.write_bytes(path.read_bytes()[:1000]), Path.unlink])
def test_a_graph_that_is_damaged_or_gone_is_made_again(
    graphs: Path, tmp_path: Path, harm: Callable[[Path], object]
) -> None:
    shutil.copytree(graphs, tmp_path, dirs_exist_ok=True)
    prefix = Prefix(stages(), CUT, CUT, BACKBONE, CPU, tmp_path)
    assert prefix.engine.startswith("onnx")
    for path in tmp_path.glob("*.onnx"):
        harm(path)
    assert torch.equal(through(prefix), through(Prefix(stages(), CUT, CUT, BACKBONE, CPU, graphs)))


@pytest.mark.parametrize("order", [[3], [7, 7, 3], list(range(18, -1, -1))])
def test_an_image_alone_is_an_image_in_any_company(graphs: Path, order: list[int]) -> None:
    prefix = Prefix(stages(), CUT, STORED, BACKBONE, CPU, graphs)
    assert torch.equal(through(prefix, PIXELS[order]), through(prefix)[order])


def test_what_cannot_be_exported_is_left_to_torch_and_never_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.svdvals(x)[..., None] * x

    odd = nn.Sequential(Odd())
    made = Prefix(odd, 1, 1, BACKBONE, CPU, tmp_path)
    plain = Prefix(odd, 1, 1, BACKBONE, CPU)
    assert made.engine == plain.engine
    assert np.array_equal(made.to_stored(PIXELS), plain.to_stored(PIXELS))
    assert [each.suffix for each in tmp_path.iterdir()] == [".txt"]
    monkeypatch.setattr("torch.onnx.export", lambda *_, **__: pytest.fail("tried again"))
    assert Prefix(odd, 1, 1, BACKBONE, CPU, tmp_path).engine == plain.engine


def test_what_computes_something_else_is_left_to_torch(tmp_path: Path) -> None:
    class Forgetful(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + float(torch.rand(()))  # tracing freezes the number

    made = Prefix(nn.Sequential(Forgetful()), 1, 1, BACKBONE, CPU, tmp_path)
    assert made.engine == Prefix(nn.Sequential(), 0, 0, BACKBONE, CPU).engine
    (reason,) = tmp_path.iterdir()
    assert "differs" in reason.read_text()


def test_training_draws_the_same_whether_or_not_a_graph_is_made(tmp_path: Path) -> None:
    own = stages()
    torch.manual_seed(7)
    wanted = torch.rand(3)
    torch.manual_seed(7)
    assert Prefix(own, CUT, CUT, BACKBONE, CPU, tmp_path).engine.startswith("onnx")
    assert torch.equal(torch.rand(3), wanted)


def test_a_gpu_keeps_torch_and_so_do_transformers_and_toys() -> None:
    engines = {each.key: choose_engine(each, CPU) for each in BACKBONES}
    assert engines["lite0"] == engines["resnet50"] == "onnx"
    assert engines["vit_b_16"] == engines["swin_t"] == "torch"
    assert choose_engine(BACKBONE, torch.device("cuda")) == "torch"
