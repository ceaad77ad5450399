"""Activations of two images are blended at the freeze point, and their labels by the same share."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from tests.strategies.contract import cuts, every
from tests.support import Lab, same_tensors
from transfer_core.errors import UserError
from transfer_core.strategies import Batch, Strategy
from transfer_core.training.feed import Feed


def batches(lab: Lab, epoch: int = 1, mixing: float = 0.4, **wishes: object) -> list[Batch]:
    setup = lab.setup(lab.spec("fine_tuning", cut=2, batch_size=7, mixing=mixing, **wishes))
    (phase,) = setup.strategy.phases(setup.task)
    with setup.activations(2) as activations:
        activations.fill(setup.images("train"), setup.spec.views)
        return list(Feed(setup).batches(phase, epoch, activations))


def test_a_blend_has_the_label_of_its_two_images_by_the_same_share(lab: Lab) -> None:
    """Each row is found again as a blend of two rows of the plain batch; so is its label."""
    unequal = 0
    for plain, blended in zip(batches(lab, mixing=0.0), batches(lab), strict=True):
        assert plain.soft is None
        assert blended.soft is not None
        assert torch.equal(plain.y, blended.y)
        labels = torch.nn.functional.one_hot(plain.y, blended.soft.shape[1]).float()
        for row, (x, soft) in enumerate(zip(blended.x, blended.soft, strict=True)):
            gaps = {}
            for other in range(len(plain.x)):
                line = plain.x[row] - plain.x[other]
                share = (
                    ((x - plain.x[other]) * line).sum() / line.square().sum()
                    if line.any()
                    else torch.ones(())
                )
                gaps[other] = (x - plain.x[other] - share * line).abs().max().item(), share
            other = min(gaps, key=lambda each: gaps[each][0])
            gap, share = gaps[other]
            assert gap < 1e-4
            assert 0 <= share <= 1
            assert torch.allclose(soft, share * labels[row] + (1 - share) * labels[other], atol=1e-3)
            unequal += 0.01 < share < 0.99
    assert unequal > 5


def test_blends_are_drawn_anew_each_epoch_and_again_the_same(lab: Lab) -> None:
    first, again, later, other = batches(lab), batches(lab), batches(lab, epoch=2), batches(lab, seed=1)
    assert all(torch.equal(a.x, b.x) for a, b in zip(first, again, strict=True))
    for a, b in product(first, later + other):
        assert a.x.shape != b.x.shape or not torch.equal(a.x, b.x)


def test_without_mixing_nothing_changes(lab: Lab) -> None:
    """Not even the identity: runs of before are the same experiment."""
    plain, zero = lab.spec("fine_tuning", cut=2), lab.spec("fine_tuning", cut=2, mixing=0.0)
    assert plain.id == zero.id
    assert "mixing" not in plain.to_json()


@every
def test_heeds_mixing_or_refuses_it(lab: Lab, strategy: type[Strategy]) -> None:
    wishes = {**cuts(strategy), "epochs": 1, "mixing": 0.4}
    if not strategy.mixes_at_cut:
        with pytest.raises(UserError, match="leave mixing out"):
            lab.spec(strategy.name, **wishes)
        return
    own, plain = (lab.train(lab.spec(strategy.name, **wishes | {"mixing": mixing})) for mixing in (0.4, 0.0))
    assert not same_tensors(own.last, plain.last)
