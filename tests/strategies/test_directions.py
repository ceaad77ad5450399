"""What each loss does to which part of the network: the direction of every pull, measured by a small step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.strategies.bench import CUT, bench
from tests.support import Lab, make_tiny
from transfer_core.strategies import Phase
from transfer_core.strategies.fine_tuning import FineTuning
from transfer_core.strategies.meta_transfer import MetaTransfer
from transfer_core.training.events import EpochEnded, Event
from transfer_core.training.feed import Feed


@pytest.mark.parametrize("strategy", ["dann", "cdan", "adversarial_self_training"])
def test_the_discriminator_learns_to_tell_domains_apart_and_the_features_to_prevent_it(
    lab: Lab, strategy: str
) -> None:
    change = {}
    for side in ("features", "discriminator"):
        now = bench(lab.across_domains(), strategy, dropout=0.0)
        parts = now.stages if side == "features" else ["extras.discriminator"]
        before = now.term(now.phase.loss, "domain").item()
        now.stepped(now.phase.loss, "domain", parts)
        change[side] = now.term(now.phase.loss, "domain").item() - before
    assert change["features"] > 0 > change["discriminator"]


def test_cdan_shows_the_discriminator_each_feature_times_each_probability(lab: Lab) -> None:
    now = bench(lab.across_domains(), "cdan", dropout=0.0)
    model, seen = now.setup.model, []
    nn.init.normal_(model.heads["main"].weight)
    model.extras["discriminator"].register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    now.term(now.phase.loss, "domain")
    features = model.features(now.batch.x_target, CUT)
    chances = model.heads["main"](features).softmax(1)
    outer = np.einsum("nc,nd->ncd", chances.detach().numpy(), features.detach().numpy())
    assert seen[1].numpy() == pytest.approx(outer.reshape(len(outer), -1), abs=1e-5)


def test_two_judges_move_apart_and_the_features_bring_them_together(lab: Lab) -> None:
    now = bench(lab.across_domains(), "mcd", times=3)
    model = now.setup.model

    def gap() -> float:
        features = model.features(now.batch.x_target, CUT)
        first, second = (head(features).softmax(1).detach().numpy() for head in model.heads["main"].both)
        return float(np.abs(first - second).mean())

    apart, together = now.phase.turns
    assert (apart.modules, together.modules, together.times) == (("heads",), tuple(now.stages), 3)
    before = gap()
    now.stepped(apart.loss, "disagreement", apart.modules)
    between = gap()
    assert between > before
    now.stepped(together.loss, "agreement", together.modules)
    assert gap() < between


@pytest.mark.parametrize(("turn", "moves"), [(0, {"heads"}), (1, {"stages"})])
def test_a_further_update_moves_only_its_own_modules(lab: Lab, turn: int, moves: set[str]) -> None:
    """With all weight taken from the source, MCD's heads learn from the second update alone and the stages from the third."""
    lab = lab.across_domains()
    setup = lab.setup(lab.spec("mcd", cut=CUT, epochs=1, knobs={"average": 0}))
    usual = setup.strategy.phases

    def only_one(task: Any) -> list[Phase]:
        (phase,) = usual(task)
        silent = replace(phase, loss=lambda *given: _times_nothing(phase.loss(*given)), weight_decay=0.0)
        return [replace(silent, turns=phase.turns[turn : turn + 1], freeze_batch_norm=True)]

    object.__setattr__(setup.strategy, "phases", only_one)
    start = {name: each.clone() for name, each in setup.model.named_parameters()}
    lab.train(setup.spec, setup=setup)
    moved = {
        name.split(".")[0]
        for name, each in setup.model.named_parameters()
        if not torch.equal(each, start[name])
    }
    assert moved == moves


def _times_nothing(outcome: Any) -> Any:
    return replace(outcome, terms={name: 0 * term for name, term in outcome.terms.items()})


def test_the_pull_to_the_pretrained_weights_is_half_the_squared_distance(lab: Lab) -> None:
    """With one step an epoch, each epoch's pull is that of the weights after the one before; the first moves the head alone."""
    knobs = {"l2_sp": 4.0, "average": 0}
    setup = lab.setup(lab.spec("fine_tuning", cut=CUT, epochs=3, batch_size=64, knobs=knobs))
    start = {name: each.detach().clone() for name, each in setup.model.stages.named_parameters()}
    distance: list[float] = []

    def look(event: Event) -> None:
        if isinstance(event, EpochEnded):
            now = dict(setup.model.stages.named_parameters())
            distance.append(sum(float((now[name].detach() - start[name]).square().sum()) for name in start))

    log = lab.train(setup.spec, setup=setup, emit=look).log
    pulls = [each.train["pull to pretrained"] for each in log]
    assert distance[1] > 0
    assert pulls == pytest.approx([0.0, *(4.0 / 2 * each for each in distance[:2])], rel=1e-4)


def test_stages_are_set_free_one_by_one_from_the_top(lab: Lab) -> None:
    task = lab.setup(lab.spec("fine_tuning", cut=1, epochs=6)).task
    free = [sorted(phase.modules) for phase in FineTuning(unfreeze=True).phases(task)]
    assert free == [
        ["heads"],
        ["heads", "stages.3"],
        ["heads", "stages.2", "stages.3"],
        ["heads", "stages.1", "stages.2", "stages.3"],
    ]


def test_meta_transfer_scales_kernels_and_leaves_every_weight_as_it_was(lab: Lab) -> None:
    lab = lab.with_many_classes()
    outcome = lab.train(lab.spec("meta_transfer", cut=CUT))
    model = outcome.setup.model
    found = {
        name.replace("parametrizations.weight.original", "weight"): each
        for name, each in model.stages.named_parameters()
    }
    for name, wanted in make_tiny().named_parameters():
        assert torch.equal(found[name], wanted), name
    scales = list(model.extras["scales"].parameters())
    assert scales
    assert any(not torch.equal(each, torch.ones_like(each)) for each in scales if each.ndim > 1), (
        "the kernels' scales learnt"
    )


def test_meta_transfer_practises_on_the_classes_with_most_images(lab: Lab) -> None:
    task = lab.setup(lab.spec()).task
    many = replace(task, classes=tuple(f"c{n:02d}" for n in range(20)), class_shares=(1 / 20,) * 20)
    base = {MetaTransfer().base_classes(replace(many, seed=seed)) for seed in range(5)}
    assert {len(each) for each in base} == {12}, "12 of 20, as published"
    assert len(base) > 1, "of equals the seed decides"
    scarce = tuple(0.001 if n in (3, 7, 11) else 0.058 for n in range(20))
    for seed in range(20):
        assert not {3, 7, 11} & set(
            MetaTransfer().base_classes(replace(many, class_shares=scarce, seed=seed))
        )


def test_a_slot_of_an_episode_means_another_class_each_time(lab: Lab) -> None:
    """What starts a slot could else learn a class, where it should learn to learn one."""
    lab = lab.with_many_classes()
    setup = lab.setup(
        lab.spec("meta_transfer", cut=CUT, knobs={"episodes": 60, "inner_steps": 1, "inner_lr": 1.0})
    )
    phase = setup.strategy.phases(setup.task)[0]
    setup.model.extras["episode"] = start = nn.Linear(setup.task.feature_dim, 2)
    nn.init.zeros_(start.weight)
    start.bias.data = torch.tensor([50.0, 0.0])  # slot 0 is always said
    said: list[int] = []
    with setup.activations(CUT) as activations:
        activations.fill(setup.images("train"), 1)
        for batch in Feed(setup).batches(phase, 1, activations):
            with torch.no_grad():
                logits = phase.loss(setup.model, batch, 0.5).logits
            (first,) = set(logits.argmax(1).tolist())
            assert first == int(batch.y[0]), "slots are numbered as the classes were drawn"
            said.append(first)
    base = setup.strategy.base_classes(setup.task)
    assert set(said) == set(base), "every class comes into the first slot"
