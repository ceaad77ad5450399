"""What learns from each term of a loss, and what does not: a detached factor changes no value, only this."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.strategies.bench import CUT, Bench, bench
from tests.support import Lab
from transfer_core.training.feed import Feed
from transfer_core.training.optimise import make_optimiser

DISCRIMINATOR, HEADS, STAGES = "extras.discriminator", "heads", "stages"
WHO_LEARNS = [  # strategy, knobs, term, the parts that learn from it
    ("mcc", {}, "confusion", {STAGES, HEADS}),
    ("mmd", {}, "distance", {STAGES}),
    ("coral", {}, "distance", {STAGES}),
    ("dann", {}, "domain", {STAGES, DISCRIMINATOR}),
    ("cdan", {}, "domain", {STAGES, DISCRIMINATOR}),
    ("adversarial_self_training", {}, "domain", {STAGES, DISCRIMINATOR}),
    ("mcc", {"match_shares": 0.5}, "class shares", {STAGES, HEADS}),
    ("dann", {"match_shares": 0.5}, "class shares", {STAGES, HEADS}),
    ("mcd", {"match_shares": 0.5}, "class shares", {HEADS}),
]


def value(now: Bench, term: str) -> Tensor:
    """A term of the first update that has it."""
    losses = [now.phase.loss, *(turn.loss for turn in now.phase.turns)]
    return next(
        now.term(loss, term) for loss in losses if term in loss(now.setup.model, now.batch, 1.0).terms
    )


def learns(now: Bench, term: str) -> set[str]:
    """The parts on which a term has a gradient, among the stages, the heads and the discriminator."""
    model = now.setup.model
    nn.init.normal_(next(model.heads.parameters()))
    parts = {STAGES: model.stages, HEADS: model.heads, DISCRIMINATOR: model.extras}
    found = set()
    for name, part in parts.items():
        own = [each for each in part.parameters() if each.requires_grad]
        gradients = torch.autograd.grad(value(now, term), own, allow_unused=True) if own else ()
        if any(each is not None and each.abs().max() > 1e-9 for each in gradients):
            found.add(name)
    return found


@pytest.mark.parametrize(("strategy", "knobs", "term", "wanted"), WHO_LEARNS)
def test_a_term_teaches_what_it_should_and_nothing_else(
    lab: Lab, strategy: str, knobs: dict[str, float], term: str, wanted: set[str]
) -> None:
    assert learns(bench(lab.across_domains(), strategy, **knobs), term) == wanted


@pytest.mark.parametrize("strategy", ["dann", "mcd", "mmd"])
def test_class_shares_are_those_of_the_target(lab: Lab, strategy: str) -> None:
    now = bench(lab.across_domains(), strategy, match_shares=0.5)
    model = now.setup.model
    for each in model.heads["main"].parameters():
        nn.init.normal_(each)
    with torch.no_grad():
        logits = model.heads["main"](model.features(now.batch.x_target, CUT)).double().numpy()
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    shares = np.array(now.setup.task.class_shares)
    wanted = 0.5 * np.sum(shares * np.log(shares / p.mean(0)))
    assert value(now, "class shares").item() == pytest.approx(wanted, rel=1e-3)


def test_where_a_classifier_starts_is_learnt_by_practising(lab: Lab) -> None:
    now = bench(lab.with_many_classes(), "meta_transfer")
    start = now.setup.model.extras["episode"].weight
    (gradient,) = torch.autograd.grad(now.term(now.phase.loss, "cross-entropy"), [start])
    assert gradient.abs().max() > 1e-6


def test_prototypes_learn_from_examples_and_queries(lab: Lab) -> None:
    now = bench(lab, "prototypical")
    x = now.batch.x.clone().requires_grad_()
    loss = now.phase.loss(now.setup.model, replace(now.batch, x=x), 1.0).terms["cross-entropy"]
    (gradient,) = torch.autograd.grad(loss, [x])
    assert all(
        part.abs().max() > 1e-9 for part in (gradient[: now.batch.support], gradient[now.batch.support :])
    )


@pytest.mark.parametrize("anchor", [0.0, 0.1])
def test_the_pull_to_the_pretrained_weights_takes_the_place_of_decay(lab: Lab, anchor: float) -> None:
    setup = lab.setup(lab.spec("fine_tuning", cut=CUT, knobs={"l2_sp": anchor, "weight_decay": 0.01}))
    phase = setup.strategy.phases(setup.task)[0]
    setup.model.train_only(phase.modules, CUT)
    optimiser, _ = make_optimiser(phase, setup.model)
    kernels = {id(each) for each in setup.model.stages.parameters() if each.ndim > 1}
    decays = {
        group["weight_decay"]
        for group in optimiser.param_groups
        if {id(p) for p in group["params"]} & kernels
    }
    assert decays == ({0.0} if anchor else {0.01})


def test_an_image_that_comes_again_in_an_epoch_comes_in_another_fresh_view(lab: Lab) -> None:
    setup = lab.across_domains().setup(
        lab.across_domains().spec("self_training", cut=CUT, augment="light", views=0)
    )
    phase = setup.strategy.phases(setup.task)[0]
    feed = Feed(setup)
    feed.unlabelled = feed.unlabelled[:3]
    with setup.activations(CUT) as activations:
        activations.fill(setup.images("train") + setup.images("unlabelled"), 1)
        batches = list(feed.batches(phase, 1, activations))
    plain, strong = (
        torch.cat([each for each in own if each is not None]).flatten(1)
        for own in zip(*((batch.x_target, batch.x_strong) for batch in batches), strict=True)
    )
    assert len(torch.unique(plain, dim=0)) == 3
    assert len(torch.unique(strong, dim=0)) == len(strong) > 6
