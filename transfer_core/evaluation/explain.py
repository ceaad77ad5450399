"""Where in an image a score comes from: Grad-CAM for maps, attention weighted by its gradient for ViT.

Grad-CAM (Selvaraju et al. 2017): in the last map A [c, h, w] before it is pooled, each channel is weighted by the mean
over the map of the score's gradient; what the weighted channels add up to, where it speaks for the class (ReLU), is the
heat. Where the features are the mean over that map and the head is linear, as in ResNet, the EfficientNets, DenseNet
and Inception, this is the class activation map of Zhou et al. 2016: before the ReLU it adds up to the score itself, the
bias apart. So it is in Swin, whose last tokens, once normalised, lie on a map that is pooled.

ViT pools no map: its score reads one token, which by then has gathered from the others in every block. What reached it
from where is followed through all of them (Chefer, Gur and Wolf 2021, "Generic Attention-model Explainability"): in each
block the attention [heads, t, t] times the score's gradient there, where that speaks for the class, its mean over the
heads, is how much relevance goes from token to token. Gradient times token at the last block alone, the transformer's
likeness of Grad-CAM, was tried and left: blocks before it move what they found from place to place, and on drawn images
in which one patch decides it named the right patch in 9 to 71 of 100, this in all.

A backbone is a list of stages, so nothing is changed in it: the stages below run without gradients, frozen or not, and
only what lies above is differentiated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from transfer_core.models.backbones import Backbone
from transfer_core.models.model import Classifier

Maps = npt.NDArray[np.float32]  # [n, h, w], 0 where nothing speaks for the class
BATCH = 16
BATCH_OF_TOKENS = 4  # whose attention in all blocks is kept at once


def heat_maps(model: Classifier, backbone: Backbone, x: Tensor, wanted: Tensor) -> Maps:
    """Return how much each place of images [n, 3, s, s] speaks for the classes `wanted` [n]: maps [n, h, w] >= 0.

    They are as coarse as the last stage that has places (7 by 7 for most). The score is the logit, less the mean over
    all classes: what is added to every class alike changes no probability, and must change no map. Of an ensemble, the
    mean of its networks' maps.
    """
    maps = [_heat(each, backbone, x, wanted) for each in model.members]
    return np.asarray(np.mean(maps, 0), np.float32)


def _heat(model: Classifier, backbone: Backbone, x: Tensor, wanted: Tensor) -> Maps:
    model.eval()
    size = BATCH_OF_TOKENS if _has_class_token(backbone) else BATCH
    look = _attention_heat if _has_class_token(backbone) else _map_heat
    found = [
        look(model, backbone, x[at : at + size], wanted[at : at + size]) for at in range(0, len(x), size)
    ]
    return np.concatenate(found) if found else np.zeros((0, 1, 1), np.float32)


def _map_heat(model: Classifier, backbone: Backbone, x: Tensor, wanted: Tensor) -> Maps:
    start, pool = pooled_map(backbone, model.stages)
    seen: list[Tensor] = []

    def take(_module: nn.Module, args: tuple[Tensor, ...]) -> None:
        seen.append(args[0])

    handle = pool.register_forward_pre_hook(take)
    try:
        below = _run_below(model, x, start)
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(_score(model, below, start, wanted), seen[0])
    finally:
        handle.remove()
    return _to_maps(grad_cam(seen[0], gradient))


def _attention_heat(model: Classifier, backbone: Backbone, x: Tensor, wanted: Tensor) -> Maps:
    blocks = [stage for stage in model.stages if hasattr(stage, "self_attention")]
    start = len(backbone.stages) - 1 - len(blocks)  # after the patches, before the blocks and the top
    below = _run_below(model, x, start)
    with torch.enable_grad(), _attention_seen(blocks) as shares:
        gradients = torch.autograd.grad(_score(model, below, start, wanted), shares)
    relevance = attention_relevance([each.detach() for each in shares], gradients)[:, 0, 1:]
    side = math.isqrt(relevance.shape[1])
    return _to_maps(relevance.reshape(len(x), side, side))


@torch.no_grad()
def _run_below(model: Classifier, x: Tensor, start: int) -> Tensor:
    below: Tensor = model.stages[:start](x)
    return below.detach().requires_grad_()


def _score(model: Classifier, below: Tensor, start: int, wanted: Tensor) -> Tensor:
    logits = model(below, start)
    score: Tensor = (logits - logits.mean(1, keepdim=True)).gather(1, wanted[:, None]).sum()
    return score


def _to_maps(heat: Tensor) -> Maps:
    return np.asarray(heat.relu().detach().cpu().numpy(), np.float32)


def grad_cam(activations: Tensor, gradient: Tensor) -> Tensor:
    """Return [n, h, w], not yet cut at 0, of a map and a score's gradient there, both [n, c, h, w]."""
    return (gradient.mean((2, 3), keepdim=True) * activations).sum(1)


def attention_relevance(shares: list[Tensor], gradients: tuple[Tensor, ...]) -> Tensor:
    """Return how relevant each token is for each [n, t, t], of each block's attention and its gradient [n, heads, t, t]."""
    relevance = torch.eye(shares[0].shape[-1], device=shares[0].device).expand(len(shares[0]), -1, -1)
    for share, gradient in zip(shares, gradients, strict=True):
        relevance = relevance + (share * gradient).relu().mean(1) @ relevance
    return relevance


@contextmanager
def _attention_seen(blocks: list[nn.Module]) -> Iterator[list[Tensor]]:
    """Gather the attention [n, heads, t, t] of blocks as they run, written out: the fused one does not tell it."""
    shares: list[Tensor] = []

    def write_out(module: nn.MultiheadAttention, args: tuple[Tensor, ...], _: object) -> tuple[Tensor, None]:
        out, share = attend(module, args[0])
        shares.append(share)
        return out, None

    handles = [block.self_attention.register_forward_hook(write_out) for block in blocks]  # type: ignore[union-attr]
    try:
        yield shares
    finally:
        for handle in handles:
            handle.remove()


def attend(layer: nn.MultiheadAttention, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return (what self-attention makes of tokens [n, t, d], its attention [n, heads, t, t])."""
    n, count, width = tokens.shape
    packed = nn.functional.linear(tokens, layer.in_proj_weight, layer.in_proj_bias)
    query, key, value = packed.view(n, count, 3, layer.num_heads, layer.head_dim).permute(2, 0, 3, 1, 4)
    share = (query @ key.transpose(-1, -2) / math.sqrt(layer.head_dim)).softmax(-1)
    gathered = (share @ value).transpose(1, 2).reshape(n, count, width)
    out: Tensor = layer.out_proj(gathered)
    return out, share


def pooled_map(backbone: Backbone, stages: nn.Sequential) -> tuple[int, nn.Module]:
    """Return (the stage that pools the last map, the pooling in it); what the pooling is given is explained."""
    last = max(number for number, stage in enumerate(backbone.stages) if len(stage.shape) > 1)
    return last + 1, stages[last + 1].get_submodule("pool")


def _has_class_token(backbone: Backbone) -> bool:
    """Tell whether the stages' activations are tokens [t, d], the first of which the score reads."""
    return any(len(stage.shape) == 2 for stage in backbone.stages)


def to_unit(maps: Maps) -> Maps:
    """Return maps [..., h, w] with each one's most as 1; a map of zeros stays one."""
    most = maps.max((-2, -1), keepdims=True, initial=0)
    return np.asarray(np.divide(maps, most, out=np.zeros_like(maps), where=most > 0))
