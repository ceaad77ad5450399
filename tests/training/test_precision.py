"""bfloat16 is taken where a measurement says that it pays, once, and never where somebody chose."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.support import Lab, make_tiny, same_tensors
from transfer_core.models.backbones import Backbone
from transfer_core.models.device import autocast
from transfer_core.training import estimate, precision
from transfer_core.training.precision import find_precision, gain_of_mixed

CPU = torch.device("cpu")


def test_measuring_changes_neither_stages_nor_draws() -> None:
    stages = make_tiny()
    before = {name: each.clone() for name, each in stages.state_dict().items()}
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    assert gain_of_mixed(stages, (3, 32, 32)) > 0
    assert torch.equal(torch.rand(2), wanted)
    assert same_tensors(dict(stages.state_dict()), before)
    assert all(each.grad is None for each in stages.parameters())


def test_mixed_on_a_processor_is_bfloat16() -> None:
    x = torch.rand(4, 4)
    with autocast(CPU, "mixed"):
        assert (x @ x).dtype == torch.bfloat16
    with autocast(CPU, "fp32"):
        assert (x @ x).dtype == torch.float32


@pytest.mark.parametrize(("gain", "chosen"), [(1.8, "mixed"), (1.1, "fp32"), (0.6, "fp32")])
def test_it_is_measured_once_and_taken_where_it_pays(
    lab: Lab, tiny: Backbone, monkeypatch: pytest.MonkeyPatch, gain: float, chosen: str
) -> None:
    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr(precision, "gain_of_mixed", lambda _, shape: (asked.append(shape), gain)[1])
    monkeypatch.setattr(estimate, "LEAST_GFLOPS", 0.02)
    spec = lab.spec(cut=1)
    told: list[int] = []
    found = [find_precision(lab.setup(spec), lambda n=n: told.append(n)) for n in range(3)]  # type: ignore[misc]
    assert found == [chosen] * 3
    assert asked == [tiny.stages[0].shape]
    assert told == [0], "whoever watches is told that it is measured"
    assert find_precision(lab.setup(replace(spec, precision="fp32"))) == "fp32"
    assert find_precision(lab.setup(replace(spec, precision="mixed"))) == "mixed"
    assert find_precision(lab.setup(lab.spec(cut=3))) == "fp32", "too little to gain anything"
    assert len(asked) == 1


def test_a_run_trains_in_the_precision_that_was_found(lab: Lab) -> None:
    outcomes = []
    for each in ("fp32", "mixed"):
        setup = lab.setup(lab.spec(cut=0))
        setup.precision = each
        outcomes.append(lab.train(setup.spec, setup=setup).last)
    assert not same_tensors(*outcomes)
