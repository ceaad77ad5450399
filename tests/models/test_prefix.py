"""The frozen prefix computes what the stages compute, the same to the last bit whatever stands beside an image."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.support import TINY, make_tiny, same_tensors
from transfer_core.models.prefix import Prefix, fold_batch_norm

CPU = torch.device("cpu")
CUTS = range(len(TINY.stages) + 1)
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 3, 32, 32), dtype=np.uint8)


@torch.no_grad()
def run(stages: nn.Module, pixels: np.ndarray = PIXELS) -> Tensor:
    """The stages in eval mode on normalised pixels, by no code of the prefix."""
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (TINY.mean, TINY.std))
    return stages.eval()((torch.from_numpy(pixels).float() / 255 - mean) / std)


def through(prefix: Prefix, pixels: np.ndarray = PIXELS) -> Tensor:
    return prefix.from_stored(prefix.to_stored(pixels))


@pytest.mark.parametrize("cut", CUTS)
def test_the_prefix_computes_the_stages(cut: int) -> None:
    stages = make_tiny()
    for stored in range(cut + 1):
        rounded = 0 < stored < len(stages)  # maps are kept in half precision
        made = through(Prefix(stages, cut, stored, TINY, CPU))
        assert made.shape[1:] == (TINY.stages[cut - 1].shape if cut else (3, 32, 32))
        tolerance = 4e-3 if rounded else 1e-5
        torch.testing.assert_close(made, run(stages[:cut]), rtol=tolerance, atol=tolerance)


@settings(max_examples=25)
@given(
    order=st.lists(st.integers(0, 39), min_size=1, max_size=40),
    stored=st.integers(0, 4),
    cut=st.integers(0, 4),
)
def test_an_image_alone_is_an_image_in_any_company(order: list[int], stored: int, cut: int) -> None:
    prefix = Prefix(make_tiny(), cut, min(stored, cut), TINY, CPU)
    whole = through(prefix)
    assert torch.equal(through(prefix, PIXELS[order]), whole[order])


@pytest.mark.parametrize("number", [1, 15, 16, 17])
def test_full_and_filled_up_batches_have_one_layout_in_memory(number: int) -> None:
    seen: list[bool] = []

    class Look(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x.is_contiguous(memory_format=torch.channels_last))
            return x

    prefix = Prefix(nn.Sequential(Look(), Look()), 2, 0, TINY, CPU)
    seen.clear()
    through(prefix, PIXELS[:number])
    assert seen
    assert all(seen)


def test_the_given_stages_stay_as_they_are() -> None:
    stages = make_tiny().train()
    before = {key: each.clone() for key, each in stages.state_dict().items()}
    through(Prefix(stages, 4, 2, TINY, CPU))
    assert same_tensors(dict(stages.state_dict()), before)
    assert all(module.training for module in stages.modules())
    assert all(each.requires_grad for each in stages.parameters())


def test_no_gradient_flows_into_the_prefix_and_what_leaves_it_can_be_trained_on() -> None:
    x = through(Prefix(make_tiny(), 3, 1, TINY, CPU))
    weight = torch.ones(1, requires_grad=True)
    (x * weight).sum().backward()
    assert weight.grad is not None
    assert not x.requires_grad


def test_values_beyond_half_precision_saturate() -> None:
    class Huge(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 1e9

    stored = Prefix(nn.Sequential(Huge()), 1, 1, TINY, CPU).to_stored(PIXELS[:2])
    assert stored.dtype == np.float16
    assert np.isfinite(stored).all()
    assert np.abs(stored).max() == np.finfo(np.float16).max


def norms(stages: nn.Module) -> int:
    return sum(isinstance(each, nn.BatchNorm2d) for each in stages.modules())


def test_every_batch_norm_behind_a_convolution_is_folded() -> None:
    assert norms(make_tiny()) == 5
    assert norms(fold_batch_norm(make_tiny(), 32)) == 0


def conv(inputs: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, 6, 3, padding=1)


class Shared(nn.Module):
    """One convolution before two batch-norms."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.first, self.second = conv(), nn.BatchNorm2d(6), nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        return self.first(self.conv(x)) + self.second(self.conv(x).relu())


class Twice(nn.Module):
    """One batch-norm behind two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.norm = conv(), conv(), nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.one(x)) * self.norm(self.other(x))


NOT_FED: dict[str, Callable[[], nn.Module]] = {
    "first of all": lambda: nn.Sequential(nn.BatchNorm2d(3), conv()),
    "behind an activation": lambda: nn.Sequential(conv(), nn.ReLU(), nn.BatchNorm2d(6)),
    "behind an activation in place": lambda: nn.Sequential(conv(), nn.ReLU(inplace=True), nn.BatchNorm2d(6)),
    "behind pooling": lambda: nn.Sequential(conv(), nn.MaxPool2d(2), nn.BatchNorm2d(6)),
    "one convolution, two norms": Shared,
    "two convolutions, one norm": Twice,
}


@pytest.mark.parametrize("make", NOT_FED.values(), ids=NOT_FED)
def test_a_batch_norm_not_fed_by_a_convolution_alone_stays(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    stages = nn.Sequential(make())
    for each in stages.modules():
        if isinstance(each, nn.BatchNorm2d):
            nn.init.uniform_(each.running_mean, -1, 1)
            nn.init.uniform_(each.running_var, 0.3, 3)
            nn.init.uniform_(each.bias, -1, 1)
    folded = fold_batch_norm(stages, 32)
    assert norms(folded) == norms(stages)
    assert torch.equal(run(folded), run(copy.deepcopy(stages)))
