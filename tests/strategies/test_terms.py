"""Each term of each loss is what its paper says of the network's own features: computed again by hand, on the right images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from tests.losses.test_alignment import mmd_by_hand
from tests.losses.test_predictions import softmax
from tests.strategies.bench import CUT, Bench, bench
from tests.support import Lab
from transfer_core.losses.adversarial import adversarial_loss
from transfer_core.losses.episodes import class_means, negative_distances
from transfer_core.losses.pseudo import aligned
from transfer_core.models.heads import PrototypeHead, TwoHeads, make_discriminator
from transfer_core.training.feed import Feed

Array = npt.NDArray[np.float64]


def features(now: Bench) -> tuple[Array, Array]:
    model = now.setup.model
    parts = (now.batch.x, now.batch.x_target)
    source, target = (model.features(x, CUT).detach().double().numpy() for x in parts if x is not None)
    assert not np.allclose(source[: len(target)], target[: len(source)])
    return source, target


def entropies(p: Array) -> Array:
    return np.asarray(-(p * np.log(p)).sum(1))


def said(now: Bench, x: Array) -> Array:
    """Probabilities by a head that is sure enough to tell images apart."""
    head = now.setup.model.heads["main"]
    weight, bias = (each.detach().double().numpy() for each in (head.weight, head.bias))
    return softmax(x @ weight.T + bias)


def test_distances_are_those_between_source_and_target(lab: Lab) -> None:
    now = bench(lab.across_domains(), "mmd", strength=2.0)
    assert now.term(now.phase.loss, "distance").item() == pytest.approx(
        2 * mmd_by_hand(*features(now)), rel=1e-4
    )
    now = bench(lab.across_domains(), "coral", strength=2.0)
    source, target = features(now)
    gap = np.cov(source, rowvar=False) - np.cov(target, rowvar=False)
    wanted = 2 * np.square(gap).sum() / (4 * source.shape[1])  # times d, as its documentation says
    assert now.term(now.phase.loss, "distance").item() == pytest.approx(wanted, rel=1e-3)


def test_confusion_and_class_shares_are_those_of_the_target(lab: Lab) -> None:
    now = bench(lab.across_domains(), "mcc", strength=3.0, temperature=2.0, match_shares=0.5)
    nn.init.normal_(now.setup.model.heads["main"].weight)
    _, target = features(now)
    p = said(now, target)
    soft = p ** (1 / 2.0) / (p ** (1 / 2.0)).sum(1, keepdims=True)
    sure = 1 + np.exp(-entropies(soft))
    confusion = (soft * (sure / sure.mean())[:, None]).T @ soft
    confusion /= confusion.sum(1, keepdims=True)
    wanted = 3 * (confusion.sum() - np.trace(confusion)) / len(confusion)
    assert now.term(now.phase.loss, "confusion").item() == pytest.approx(wanted, rel=1e-3)
    shares = np.array(now.setup.task.class_shares)
    wanted = 0.5 * np.sum(shares * np.log(shares / p.mean(0)))
    assert now.term(now.phase.loss, "class shares").item() == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("entropy", [True, False])
@pytest.mark.parametrize("largest", [4096, 10])
def test_cdan_weighs_sure_images_more_and_projects_what_is_too_large(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, entropy: bool, largest: int
) -> None:
    monkeypatch.setattr("transfer_core.strategies.cdan.LARGEST", largest)
    now = bench(lab.across_domains(), "cdan", dropout=0.0, entropy=entropy, strength=2.0)
    model = now.setup.model
    nn.init.normal_(model.heads["main"].weight)
    losses = []
    for x, sign in zip(features(now), (1, -1), strict=True):
        p = said(now, x)
        if largest == 10:
            first, second = (each.double().numpy() for each in model.extras["projection"].buffers())
            joint = (x @ first) * (p @ second) / math.sqrt(first.shape[1])
        else:
            joint = np.einsum("nc,nd->ncd", p, x).reshape(len(x), -1)
        seen = torch.from_numpy(joint).float()
        logits = sign * model.extras["discriminator"](seen).squeeze(1).detach().double().numpy()
        weights = 1 + np.exp(-entropies(p)) if entropy else np.ones(len(x))
        losses.append(np.mean(weights / weights.mean() * np.log1p(np.exp(-logits))))
    assert now.term(now.phase.loss, "domain").item() == pytest.approx(2 * np.mean(losses), rel=1e-4)


@pytest.mark.parametrize("strategy", ["dann", "cdan", "adversarial_self_training"])
def test_reversed_gradients_grow_with_the_progress(lab: Lab, strategy: str) -> None:
    now = bench(lab.across_domains(), strategy, dropout=0.0, entropy=False) if strategy == "cdan" else bench(
        lab.across_domains(), strategy, dropout=0.0
    )  # fmt: skip
    parameters = [each for name in now.stages for each in now.setup.model.part(name).parameters()]

    def pull(progress: float) -> float:
        outcome = now.phase.loss(now.setup.model, now.batch, progress)
        expected = 2 / (1 + math.exp(-10 * progress)) - 1
        assert outcome.facts["lambda"] == pytest.approx(expected)
        found = torch.autograd.grad(outcome.terms["domain"], parameters, allow_unused=True)
        return float(torch.stack([each.norm() for each in found if each is not None]).norm())

    full = pull(1.0)
    assert full > 0
    assert pull(0.0) == 0
    assert pull(0.1) / full == pytest.approx((2 / (1 + math.exp(-1)) - 1) / 0.9999092, rel=1e-3)


def test_the_discriminator_has_dropout_and_no_batch_norm() -> None:
    parts = list(make_discriminator(4, 8, 0.3).modules())
    assert [each.p for each in parts if isinstance(each, nn.Dropout)] == [0.3, 0.3]
    assert not [each for each in parts if isinstance(each, nn.BatchNorm1d)]
    torch.manual_seed(0)
    network = make_discriminator(3, 8, 0.0)
    a, b = torch.randn(5, 3), torch.randn(4, 3) + 1
    loss, facts = adversarial_loss(network, a, b, 0.3)
    first, second = (network(each).squeeze(1).detach().double().numpy() for each in (a, b))
    wanted = (np.log1p(np.exp(-first)).mean() + np.log1p(np.exp(second)).mean()) / 2
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
    assert float(facts["domain accuracy"]) == pytest.approx(((first > 0).mean() + (second <= 0).mean()) / 2)


def test_two_judges_start_apart_and_say_their_mean() -> None:
    torch.manual_seed(0)
    heads = TwoHeads(5, 3)
    x = torch.randn(7, 5)
    first, second = (softmax(head(x).detach().double().numpy()) for head in heads.both)
    assert not np.allclose(first, second)
    assert np.exp(heads(x).detach().double().numpy()) == pytest.approx((first + second) / 2, rel=1e-4)


@pytest.mark.parametrize("normalise", [True, False])
def test_prototypes_by_hand(normalise: bool) -> None:
    """Centre of all, means of each class batch by batch, minus the squared distance; an unseen class is never said."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(1, 1, (30, 4)), np.append(rng.integers(0, 3, 29), -1)
    head = PrototypeHead(4, 4, normalise)
    parts = [(torch.from_numpy(x[at]).float(), torch.from_numpy(y[at])) for at in np.array_split(np.arange(30), 4)]  # fmt: skip
    centre = x.mean(0) if normalise else np.zeros(4)
    if normalise:
        for each, _ in parts:
            head.take_centre(each)
    for each, labels in parts:
        head.take(each, labels)
    embedded = x - centre
    embedded /= np.linalg.norm(embedded, axis=1, keepdims=True) if normalise else 1
    means = np.stack([embedded[y == label].mean(0) for label in range(3)])
    gaps = np.square(embedded[:, None] - means[None]).sum(2)
    found = head(torch.from_numpy(x).float()).detach().double().numpy()
    assert found[:, :3] == pytest.approx(-(10.0 if normalise else 0.1) * gaps, rel=1e-3, abs=1e-4)
    assert (found.argmax(1) != 3).all()


def test_episodes_compare_queries_with_the_means_of_their_examples() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 3)), np.array([0, 0, 1, 1, 1, 0])
    means = class_means(torch.from_numpy(x), torch.from_numpy(y), 2)
    by_hand = np.stack([x[y == label].mean(0) for label in (0, 1)])
    asked = rng.normal(size=(4, 3))
    found = negative_distances(torch.from_numpy(asked), means).numpy()
    assert found == pytest.approx(-np.square(asked[:, None] - by_hand[None]).sum(2))


def test_alignment_by_hand() -> None:
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])
    wanted, shares = np.array([0.5, 0.25, 0.25]), np.array([0.4, 0.5, 0.1])
    scaled = p * wanted / shares
    found = aligned(*(torch.from_numpy(each) for each in (p, wanted, shares)))
    assert found.numpy() == pytest.approx(scaled / scaled.sum(1, keepdims=True))


def test_self_training_teaches_a_view_with_another_and_not_before_its_time(lab: Lab) -> None:
    knobs: dict[str, Any] = {"threshold": 0.0, "delay": 0.4, "strength": 2.0, "align": False}
    now = bench(lab.across_domains(), "self_training", **knobs)
    setup, model, batch = now.setup, now.setup.model, now.batch
    nn.init.normal_(model.heads["main"].weight)
    assert batch.x_target is not None
    assert batch.x_strong is not None
    images, views = setup.images("unlabelled"), range(setup.spec.views)
    with setup.activations(CUT) as activations:
        stored = torch.stack([activations.at_cut(images, [view] * len(images)) for view in views], 1)
    for weak, strong in zip(batch.x_target, batch.x_strong, strict=True):
        places = [{tuple(at) for at in (stored == each).flatten(2).all(2).nonzero().tolist()} for each in (weak, strong)]  # fmt: skip
        assert {image for image, _ in places[0]} == {image for image, _ in places[1]}, "the same image"
        assert not places[0] & places[1], "in another view"
    assert now.phase.loss(model, batch, 0.39).terms["pseudo-labels"].item() == 0
    with torch.no_grad():
        weak, strong = (softmax(model(x, CUT).double().numpy()) for x in (batch.x_target, batch.x_strong))
    wanted = -2 * np.log(strong[np.arange(len(strong)), weak.argmax(1)]).mean()
    assert now.phase.loss(model, batch, 0.41).terms["pseudo-labels"].item() == pytest.approx(wanted, rel=1e-4)


def test_a_second_question_shapes_the_trunk(lab: Lab) -> None:
    now = bench(lab.with_further_label(), "multi_task")
    parameters = [each for name in now.stages for each in now.setup.model.part(name).parameters()]
    found = torch.autograd.grad(now.term(now.phase.loss, "second question"), parameters, allow_unused=True)
    assert any(each is not None and each.abs().max() > 0 for each in found)


def test_the_decoder_learns_to_rebuild_and_the_stages_with_it(lab: Lab) -> None:
    """Over more epochs the error falls, and tuning starts from the stages as they then are."""
    spec = lab.spec("autoencoder", cut=CUT, epochs=1, knobs={"pretraining": 8, "average": 0})
    outcome = lab.train(spec)
    errors = [each.train["reconstruction"] for each in outcome.log if "reconstruction" in each.train]
    assert len(errors) == 8
    assert errors[-1] < 0.9 * errors[0]
    now = bench(lab, "autoencoder")
    found = torch.autograd.grad(
        now.term(now.phase.loss, "reconstruction"),
        [each for name in now.stages for each in now.setup.model.part(name).parameters()],
        allow_unused=True,
    )
    assert any(each is not None and each.abs().max() > 0 for each in found)


def test_mixtures_reach_the_full_batch_of_a_probe_with_both_labels(lab: Lab) -> None:
    setup = lab.setup(lab.spec("feature_extraction", augment="mixup"))
    phase = setup.strategy.phases(setup.task)[0]
    with setup.activations(4) as activations:
        activations.fill(setup.images("train"), setup.spec.views)
        batch = next(iter(Feed(setup).batches(phase, 1, activations)))
    assert batch.soft is not None
    assert len(batch.soft) == len(batch.x) == setup.spec.views * len(setup.images("train"))
    assert batch.soft.sum(1).numpy() == pytest.approx(1)
    plain, mixed = batch.soft[: len(setup.images("train"))], batch.soft[len(setup.images("train")) :]
    assert (plain.max(1).values == 1).all()
    assert ((mixed.max(1).values < 1).float().mean() > 0.3).item()
