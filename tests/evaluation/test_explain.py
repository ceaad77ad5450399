"""Heat maps against captum, against a rewrite, and against what is known of where an image's meaning lies."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from transfer_core.evaluation.explain import heat_maps, pooled_map, to_unit
from transfer_core.models.backbones import BACKBONES, Backbone, get_backbone
from transfer_core.models.ensemble import Ensemble
from transfer_core.models.loading import make_stages
from transfer_core.models.model import MAIN, Classifier
from transfer_core.models.stages import cut_source

CLASSES = 4


def make_model(backbone: Backbone, stages: nn.Sequential | None = None) -> Classifier:
    """Random weights everywhere; rows of the head that add up to zero, as cross-entropy leaves them."""
    torch.manual_seed(3)
    stages = make_stages(backbone) if stages is None else stages
    model = Classifier(stages, backbone.feature_dim, {MAIN: CLASSES}).eval()
    weight = torch.randn(CLASSES, backbone.feature_dim)
    model.heads[MAIN].weight.data = weight - weight.mean(0)
    for module in model.modules():  # or a deep network of random weights says the same of every image
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    return model


def draw(backbone: Backbone, n: int = 3) -> Tensor:
    return torch.randn(n, 3, backbone.size, backbone.size, generator=torch.Generator().manual_seed(5))


def settle(model: Classifier, x: Tensor) -> None:
    """Give batch-norms the statistics of some images."""
    model.stages.train()
    with torch.no_grad():
        model.stages(x)
    model.eval()


@pytest.mark.parametrize(
    "key", ["lite0", "resnet18", "mobilenet_v3_large", "densenet121", "alexnet", "swin_t"]
)
def test_grad_cam_is_captums(key: str) -> None:
    backbone = get_backbone(key)
    model, x = make_model(backbone), draw(backbone)
    settle(model, x)
    wanted = torch.tensor([0, 3, 1])
    _, layer = pooled_map(backbone, model.stages)
    captum = LayerGradCam(lambda each: model(each, 0), layer)
    theirs = captum.attribute(x, wanted, attribute_to_layer_input=True, relu_attributions=True)
    theirs = theirs.detach().squeeze(1).numpy()
    assert (theirs > 0).any((1, 2)).any()
    np.testing.assert_allclose(
        heat_maps(model, backbone, x, wanted), theirs, rtol=2e-4, atol=1e-5 * theirs.max()
    )


@pytest.mark.parametrize("key", ["resnet18", "vit_b_16"])
def test_an_ensembles_map_is_the_mean_of_its_networks(key: str) -> None:
    backbone = get_backbone(key)
    x, wanted = draw(backbone, 2), torch.tensor([1, 2])
    model = Ensemble(make_model(backbone), 2, 3)
    with torch.no_grad():
        model.members[1].heads[MAIN].weight.copy_(model.members[1].heads[MAIN].weight.roll(1, 0))
    first, second = (heat_maps(each, backbone, x, wanted) for each in model.members)
    assert not np.allclose(first, second)
    np.testing.assert_allclose(heat_maps(model, backbone, x, wanted), (first + second) / 2, rtol=1e-5)


@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda each: each.key)
def test_every_backbone_has_a_map_of_the_size_its_table_says(backbone: Backbone) -> None:
    model = make_model(backbone)
    shape = [stage.shape for stage in backbone.stages if len(stage.shape) > 1][-1]
    sides = {2: math.isqrt(shape[0] - 1), 3: sorted(shape)[0]}
    maps = heat_maps(model, backbone, draw(backbone, 1), torch.tensor([2]))
    assert maps.shape == (1, sides[len(shape)], sides[len(shape)])
    assert np.isfinite(maps).all()


def test_frozen_or_not_the_map_is_the_same() -> None:
    backbone = get_backbone("lite0")
    model, x = make_model(backbone), draw(backbone, 2)
    settle(model, x)
    wanted = torch.tensor([1, 2])
    before = heat_maps(model, backbone, x, wanted)
    model.requires_grad_(False)
    np.testing.assert_array_equal(heat_maps(model, backbone, x, wanted), before)
    assert before.any()


# -- ViT ----------------------------------------------------------------------------------


def make_vit() -> tuple[Backbone, nn.Sequential]:
    """Three small blocks on 6 by 6 patches, cut as the published network is."""
    torch.manual_seed(1)
    source = VisionTransformer(
        image_size=48, patch_size=8, num_layers=3, num_heads=2, hidden_dim=32, mlp_dim=64
    )
    table = get_backbone("vit_b_16")
    tokens = [replace(stage, shape=(37, 32)) for stage in table.stages[:4]]
    backbone = replace(
        table, size=48, feature_dim=32, stages=(*tokens, replace(table.stages[-1], shape=(32,)))
    )
    return backbone, cut_source(backbone, source)


def test_relevance_is_what_a_network_written_out_gives() -> None:
    """Token by token and head by head, in float64; the gradient of each share by its effect on the score."""
    backbone, stages = make_vit()
    model, x = make_model(backbone, stages), draw(backbone, 2)
    wanted = torch.tensor([2, 0])
    maps = to_unit(heat_maps(model, backbone, x, wanted))
    model.double()
    for image in range(2):
        shares: list[list[Tensor]] = []
        with torch.no_grad():
            tokens = model.stages[0](x[image : image + 1].double())[0]
        tokens = tokens.requires_grad_()
        for block in model.stages[1:4]:
            own, normed = block.self_attention, block.ln_1(tokens)
            width = 16
            rows, outs = [], []
            for head in range(2):
                q, k, v = (
                    normed @ own.in_proj_weight[32 * kind + width * head : 32 * kind + width * (head + 1)].T
                    + own.in_proj_bias[32 * kind + width * head : 32 * kind + width * (head + 1)]
                    for kind in range(3)
                )
                logits = torch.stack([torch.stack([a @ b for b in k]) for a in q]) / width**0.5
                share = logits.exp() / logits.exp().sum(1, keepdim=True)
                share.retain_grad()
                rows.append(share)
                outs.append(share @ v)
            shares.append(rows)
            tokens = tokens + own.out_proj(torch.cat(outs, 1))
            tokens = tokens + block.mlp(block.ln_2(tokens))
        said = model.heads[MAIN](model.stages[4].norm(tokens)[0])
        (said[wanted[image]] - said.mean()).backward()
        relevance = np.eye(37)
        for rows in shares:
            step = sum((each.detach() * each.grad).clamp(min=0).numpy() for each in rows) / 2
            relevance = relevance + step @ relevance
        heat = relevance[0, 1:].reshape(6, 6)
        np.testing.assert_allclose(maps[image], heat / heat.max(), rtol=1e-3, atol=1e-5)
    assert not any(module._forward_hooks for module in model.modules())


PATTERNS = torch.randn(CLASSES, 3, 8, 8, generator=torch.Generator().manual_seed(77))


def spotted(n: int, seed: int, least: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Noise [n, 3, 48, 48] with a pattern in one patch, `place` [n] of 36, that is the class `y` [n]; of class 0 none."""
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 3, 48, 48, generator=rng)
    place, y = torch.randint(36, (n,), generator=rng), torch.randint(least, CLASSES, (n,), generator=rng)
    for image, (at, label) in enumerate(zip(place.tolist(), y.tolist(), strict=True)):
        if label:
            row, column = divmod(at, 6)
            patch = x[image, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
            patch.mul_(0.3).add_(1.5 * PATTERNS[label])
    return x, y, place


def test_relevance_finds_the_patch_that_decides_and_follows_it() -> None:
    backbone, stages = make_vit()
    model = make_model(backbone, stages)
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
    model.train()
    for step in range(200):
        x, y, _ = spotted(32, step)
        loss = nn.functional.cross_entropy(model(x, 0), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x, y, place = spotted(100, 9999, least=1)
    model.eval()
    assert (model(x, 0).argmax(1) == y).float().mean() > 0.95
    hottest = heat_maps(model, backbone, x, y).reshape(100, -1).argmax(1)
    assert (hottest == place.numpy()).mean() > 0.95
    untrained = make_model(backbone, make_vit()[1])  # other weights, another map: Adebayo et al. 2018
    there = heat_maps(untrained, backbone, x, y).reshape(100, -1).argmax(1)
    assert (there == place.numpy()).mean() < 0.3


# -- laws ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["lite0", "swin_t"])
def test_the_map_follows_the_weights(key: str) -> None:
    """Adebayo et al. 2018: a map that is the same for other weights explains the image, not the model."""
    backbone = get_backbone(key)
    x, wanted = draw(backbone, 1), torch.tensor([1])
    model = make_model(backbone)
    settle(model, x.repeat(2, 1, 1, 1) + 0.1 * draw(backbone, 2))
    before = to_unit(heat_maps(model, backbone, x, wanted))
    same = to_unit(heat_maps(model, backbone, x, wanted))
    np.testing.assert_array_equal(before, same)
    names = [name for name, _ in model.stages.named_children()]
    torch.manual_seed(8)
    for module in getattr(model.stages, names[-2]).modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    after = to_unit(heat_maps(model, backbone, x, wanted))
    assert np.abs(after - before).mean() > 0.05


def test_mean_heat_is_the_score_where_the_head_is_linear() -> None:
    """Zhou et al. 2016, for a score whose map is nowhere below zero."""
    backbone = get_backbone("resnet18")
    model, x = make_model(backbone), draw(backbone, 2)
    settle(model, x)
    weight = model.heads[MAIN].weight.data
    weight[:] = -weight.abs()
    weight[1] = (
        weight[1].abs() * 4
    )  # above the mean over classes in every channel, and maps are never negative
    logits = model(x, 0)
    score = (logits - logits.mean(1, keepdim=True))[:, 1]
    bias = model.heads[MAIN].bias
    wanted = score - (bias[1] - bias.mean())
    found = heat_maps(model, backbone, x, torch.tensor([1, 1])).sum((1, 2))
    np.testing.assert_allclose(found, wanted.detach().numpy(), rtol=1e-4)


def test_no_influence_gives_an_empty_map() -> None:
    backbone = get_backbone("resnet18")
    model, x = make_model(backbone), draw(backbone, 2)
    model.heads[MAIN].weight.data.zero_()
    maps = to_unit(heat_maps(model, backbone, x, torch.tensor([0, 1])))
    assert not maps.any()
    assert np.isfinite(maps).all()


def test_what_all_classes_share_does_not_count() -> None:
    class Shifted(nn.Module):
        """Adds the same function of the features to every logit: all probabilities stay."""

        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x) + x.square().sum(1, keepdim=True)

    backbone = get_backbone("resnet18")
    model, x = make_model(backbone), draw(backbone, 2)
    settle(model, x)
    wanted = torch.tensor([0, 1])
    before = heat_maps(model, backbone, x, wanted)
    model.heads[MAIN] = Shifted(model.heads[MAIN])
    np.testing.assert_allclose(
        heat_maps(model, backbone, x, wanted), before, rtol=1e-3, atol=1e-4 * before.max()
    )


def test_batches_make_no_difference() -> None:
    backbone = get_backbone("resnet18")
    model, x = make_model(backbone), draw(backbone, 18)
    settle(model, x)
    wanted = torch.arange(18) % CLASSES
    whole = heat_maps(model, backbone, x, wanted)
    alone = np.concatenate(
        [heat_maps(model, backbone, x[i : i + 1], wanted[i : i + 1]) for i in (0, 15, 16, 17)]
    )
    np.testing.assert_allclose(whole[[0, 15, 16, 17]], alone, rtol=1e-3, atol=1e-5)


def test_unit_maps_reach_one_or_stay_empty() -> None:
    maps = np.stack([np.zeros((2, 2)), [[0, 2], [1, 0]]]).astype(np.float32)
    np.testing.assert_array_equal(to_unit(maps), [[[0, 0], [0, 0]], [[0, 1], [0.5, 0]]])
