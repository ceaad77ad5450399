"""Defaults from the size of the data."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from tests.support import Lab
from transfer_core.data.split import Split
from transfer_core.errors import UserError
from transfer_core.models.backbones import BACKBONES, get_backbone
from transfer_core.strategies import STRATEGIES
from transfer_core.strategies.adabn import AdaBN
from transfer_core.strategies.meta_transfer import MetaTransfer
from transfer_core.training.rules import make_spec, unmet_need
from transfer_core.training.spec import check_spec


def sized(split: Split, *counts: int) -> Split:
    """The split as if its training part had these counts per class."""
    parts = {**split.receipt.counts, "train": {str(index): n for index, n in enumerate(counts)}}
    return replace(split, receipt=replace(split.receipt, counts=parts))


@pytest.mark.parametrize("n", [4, 100, 1_500, 30_000])
@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda each: each.name)
def test_defaults_are_possible_at_any_size_and_for_any_backbone(lab: Lab, n: int, strategy: Any) -> None:
    for backbone in BACKBONES:
        wishes = {"backbone": backbone.key, "strategy": strategy.name, "device": "cpu"}
        spec = make_spec(lab.manifest, sized(lab.split, n, n), wishes)
        assert check_spec(spec) == spec
        stages = len(backbone.stages)
        assert (spec.cut == stages) == (strategy.freezes == "all" or strategy.name == "prototypical")
        assert (spec.cut == 0) == (strategy.freezes == "nothing")


def test_more_images_mean_fewer_epochs_larger_batches_and_less_frozen(lab: Lab) -> None:
    wishes = {"strategy": "fine_tuning", "device": "cpu"}
    specs = [make_spec(lab.manifest, sized(lab.split, n, n), wishes) for n in (20, 200, 2_000, 20_000)]
    for less, more in pairwise(specs):
        assert less.epochs >= more.epochs
        assert less.batch_size <= more.batch_size
        assert less.cut >= more.cut
    assert specs[0] != specs[-1]


@pytest.mark.parametrize(
    ("counts", "rule"), [((40, 10), "none"), ((41, 10), "balanced"), ((10, 41, 30), "balanced")]
)
def test_classes_are_weighed_where_they_are_uneven(lab: Lab, counts: tuple[int, ...], rule: str) -> None:
    split = sized(lab.split, *counts)
    assert make_spec(lab.manifest, split, {"device": "cpu"}).class_weights == rule
    wishes = {"device": "cpu", "class_weights": "none"}
    assert make_spec(lab.manifest, split, wishes).class_weights == "none", "a wish comes first"


def test_wishes_are_granted_none_is_no_wish_and_unknown_ones_are_refused(lab: Lab) -> None:
    plain = make_spec(lab.manifest, lab.split, {"device": "cpu"})
    assert make_spec(lab.manifest, lab.split, {"device": "cpu", "lr": None, "views": None}) == plain
    wished = make_spec(lab.manifest, lab.split, {"device": "cpu", "lr": "0.25", "seed": 7})
    assert (wished.lr, wished.seed) == (0.25, 7)
    with pytest.raises(UserError, match="no setting called 'learning_rate'"):
        make_spec(lab.manifest, lab.split, {"learning_rate": 1})
    with pytest.raises(UserError, match=r"no device 'cuda:77' on this machine; choose one of .*cpu"):
        make_spec(lab.manifest, lab.split, {"device": "cuda:77"})


@pytest.mark.parametrize(
    ("augment", "wanted", "views"),
    [
        ("none", None, 1),
        ("none", 0, 1),
        ("mirror", None, 2),
        ("mirror", 9, 2),
        ("light", 9, 9),
        ("turns", 0, 0),
    ],
)
def test_no_more_views_than_differ(lab: Lab, augment: str, wanted: int | None, views: int) -> None:
    wishes = {"strategy": "fine_tuning", "augment": augment, "views": wanted, "device": "cpu"}
    assert make_spec(lab.manifest, lab.split, wishes).views == views


def test_what_can_only_be_chosen_with_a_target_is_refused_without_one(lab: Lab) -> None:
    wishes = {"strategy": "fine_tuning", "device": "cpu", "select": "combined"}
    with pytest.raises(UserError, match="needs a split from one domain to another"):
        make_spec(lab.manifest, lab.split, wishes)
    across = lab.across_domains()
    assert make_spec(across.manifest, across.split, {"device": "cpu"}).select == "combined"


@pytest.mark.parametrize("strategy", ["prototypical", "self_training"])
def test_mixtures_only_where_their_two_labels_count(lab: Lab, strategy: str) -> None:
    with pytest.raises(UserError, match="cannot learn from mixed images"):
        make_spec(lab.manifest, lab.split, {"strategy": strategy, "device": "cpu", "augment": "mixup"})


def test_self_training_needs_a_second_view(lab: Lab) -> None:
    wishes = {"strategy": "self_training", "device": "cpu"}
    assert make_spec(lab.manifest, lab.split, wishes).views >= 2
    with pytest.raises(UserError, match="compares views"):
        make_spec(lab.manifest, lab.split, wishes | {"augment": "none"})


def test_what_a_backbone_lacks_above_the_cut_is_told_before_a_run_is_queued(lab: Lab) -> None:
    across, many = lab.across_domains(), lab.with_many_classes()

    def adabn(key: str, cut: int | None = None) -> str | None:
        return unmet_need(AdaBN, across.manifest, across.split, get_backbone(key), cut)

    def meta(key: str, cut: int | None = None) -> str | None:
        return unmet_need(MetaTransfer, many.manifest, many.split, get_backbone(key), cut)

    lacking = {each.key for each in BACKBONES if adabn(each.key)}
    assert lacking == {"vgg16", "alexnet", "convnext_tiny", "swin_t", "vit_b_16"}
    assert adabn("swin_t") == "Swin-T has no batch-norm: choose another backbone."
    assert "freeze fewer" in str(adabn("resnet18", 5)), "its last stage is a mean over places"
    assert not [each.key for each in BACKBONES if meta(each.key)], "at some cut it can be done with any"
    assert meta("vit_b_16", 0) is None
    assert "above the frozen stages: freeze fewer" in str(meta("vit_b_16", 1))


def test_smaller_problems_need_fewer_classes(lab: Lab) -> None:
    lab = lab.with_many_classes()  # seven
    assert unmet_need(MetaTransfer, lab.manifest, lab.split) is None, "it can be chosen, and its form opened"
    told = str(unmet_need(MetaTransfer(), lab.manifest, lab.split))
    assert "at least 17 classes" in told
    assert "fewer classes per episode (way)" in told
    assert unmet_need(MetaTransfer(way=2), lab.manifest, lab.split) is None
