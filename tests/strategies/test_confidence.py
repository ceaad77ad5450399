"""Labels that are not certain: what is learnt from them, and which strategies can."""

from __future__ import annotations

import pytest
import torch

from tests.strategies.contract import cuts, every
from tests.support import Lab, same_tensors
from transfer_core.errors import UserError
from transfer_core.strategies import Strategy


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
    soft = own.setup(own.spec(label_confidence="sure")).soft_labels(own.split.part("train"))
    assert torch.equal(soft.sum(1), torch.ones(len(soft)))
    assert set(soft.flatten().tolist()) == {0.25, 0.375}
    assert own.spec(label_confidence="sure").id != own.spec().id
