"""Labels that are not certain: what is learnt from them, and which strategies can."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.strategies.contract import cuts, every
from tests.support import Lab, same_tensors
from transfer_core.errors import UserError
from transfer_core.strategies import Strategy
from transfer_core.training.feed import Feed


def sure(lab: Lab, confidence: float | str, part: str = "train") -> Lab:
    """The same data set; so sure are the labels of a part, and nothing is said of the others."""
    return lab.with_further_label("sure", dict.fromkeys(lab.split.part(part), str(confidence)))


@every
def test_doubt_changes_what_is_learnt_or_is_refused(lab: Lab, strategy: type[Strategy]) -> None:
    knobs = {"auxiliary": "colour"} if hasattr(strategy, "auxiliary") else {}
    wishes = {**cuts(strategy), "epochs": 1, "knobs": knobs, "label_confidence": "sure"}
    if not strategy.heeds_confidence:
        with pytest.raises(UserError, match="cannot learn from doubtful labels"):
            sure(lab, 0.7).spec(strategy.name, **wishes)
        return
    certain, doubtful = (
        own.train(own.spec(strategy.name, **wishes)) for own in (sure(lab, 1), sure(lab, 0.7))
    )
    assert not same_tensors(doubtful.last, certain.last)


@pytest.mark.parametrize("strategy", ["feature_extraction", "fine_tuning"])
def test_a_label_that_is_surely_wrong_is_the_other_one(lab: Lab, strategy: str) -> None:
    first, second, third = lab.manifest.classes
    rows = lab.manifest.by_image
    two = lab.relabelled({image: second for image in rows if rows[image].label == third}, (first, second))
    other = {first: second, second: first}
    wrong = two.relabelled(
        {image: other[two.manifest.by_image[image].label or ""] for image in two.split.part("train")}
    )
    right, turned = (
        own.train(own.spec(strategy, **wishes, epochs=2))
        for own, wishes in ((two, {}), (sure(wrong, 0), {"label_confidence": "sure"}))
    )
    for name, weight in right.last.items():
        apart = (weight.float() - turned.last[name].float()).norm()
        assert apart <= 0.01 * weight.float().norm(), name


def batches(lab: Lab, **wishes: Any) -> list[Any]:
    """The first epoch of fine-tuning, batch by batch."""
    setup = lab.setup(lab.spec(**wishes))
    phase = setup.strategy.phases(setup.task)[0]
    with setup.activations(phase.cut) as activations:
        activations.fill(setup.images("train"), setup.spec.views)
        return list(Feed(setup).batches(phase, 1, activations))


def test_a_mixture_is_learnt_as_both_and_a_doubtful_one_as_doubtful(lab: Lab) -> None:
    doubtful = sure(lab, 0.7)
    certain = batches(lab, augment="mixup")
    mixed = 0
    for one, other in zip(certain, batches(doubtful, augment="mixup", label_confidence="sure"), strict=True):
        own = one.soft[torch.arange(len(one.y)), one.y]
        assert torch.allclose(one.soft.sum(1), torch.ones(len(one.y)))
        assert bool((own > 0).all())
        assert int((one.soft > 0).sum(1).max()) <= 2, "two images have two classes at most"
        mixed += int((own < 1).sum())
        assert torch.allclose(other.soft, 0.15 + 0.55 * one.soft), "0.7 of three classes, 0.15 for each other"
    assert mixed > 0
    assert all(each.soft is None for each in batches(lab)), "certain labels, whole images"


def test_labels_that_could_as_well_be_any_other_teach_nothing(lab: Lab) -> None:
    lab = sure(lab, 1 / 3)
    outcome = lab.train(lab.spec("feature_extraction", label_confidence="sure"))
    assert outcome.last["heads.main.weight"].abs().max() < 1e-3
    assert outcome.log[-1].train["loss"] == pytest.approx(torch.tensor(3.0).log().item(), abs=1e-3)


def test_only_a_share_says_how_sure_a_label_is(lab: Lab) -> None:
    for said in ("very", "1.5", "-0.1", "nan"):
        with pytest.raises(UserError, match=r"numbers from 0 to 1: none here; not 'sure'"):
            sure(lab, said).spec(label_confidence="sure")
    own = sure(lab, 0.25)
    with pytest.raises(UserError, match=r"numbers from 0 to 1: sure; not 'colour'"):
        own.spec(label_confidence="colour")
    (batch, *_) = batches(own, label_confidence="sure")
    assert set(batch.soft.flatten().tolist()) == {0.25, 0.375}
    assert torch.equal(batch.soft.argmin(1), batch.y)
    assert own.spec(label_confidence="sure").id != own.spec().id
