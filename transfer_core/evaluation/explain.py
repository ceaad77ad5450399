"""Where in an image a score comes from: Grad-CAM for maps, gradient times token for transformers.

Grad-CAM (Selvaraju et al. 2017): at the last stage that still is a map A [c, h, w], each channel is weighted by the
mean over the map of the score's gradient; what the weighted channels add up to, where it speaks for the class (ReLU),
is the heat.

ViT and Swin: the score's gradient times the token, summed over its numbers, for each token by itself (HiResCAM, Draelos
and Carin 2020; the "class activation token" of AttCAT, Qiang et al. 2022). Unlike Grad-CAM's mean over all places, the
gradient of one token holds how much attention the class token pays to it, and no attention weights need to be taken out
of the layers. It is taken at tokens that are normalised already: a layer norm forgets the length of what it is given, so
that the product with the gradient before it is zero whatever the network does (Euler's theorem on homogeneous
functions). In Swin, whose score is linear in its last tokens, the heat before the ReLU adds up to the score itself, its
bias apart.

A backbone is a list of stages, so nothing is changed in it: the stages below run without gradients, frozen or not, and
only what lies above is differentiated.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from transfer_core.models.backbones import Backbone
from transfer_core.models.model import Classifier

Maps = npt.NDArray[np.float32]  # [n, h, w], 0 where nothing speaks for the class
BATCH = 16


def heat_maps(model: Classifier, backbone: Backbone, x: Tensor, wanted: Tensor) -> Maps:
    """Return how much each place of images [n, 3, s, s] speaks for the classes `wanted` [n]: maps [n, h, w] >= 0.

    They are as coarse as the last stage that has places (7 by 7 for most). The score is the logit, less the mean over
    all classes: what is added to every class alike changes no probability, and must change no map.
    """
    model.eval()
    found = [
        _heat(model, backbone, x[at : at + BATCH], wanted[at : at + BATCH]) for at in range(0, len(x), BATCH)
    ]
    return np.concatenate(found) if found else np.zeros((0, 1, 1), np.float32)


def _heat(model: Classifier, backbone: Backbone, x: Tensor, wanted: Tensor) -> Maps:
    start, layer = explained_layer(backbone, model.stages)
    seen: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _, __, out: seen.append(out))
    try:
        with torch.no_grad():
            below = model.stages[:start](x)
        with torch.enable_grad():
            logits = model(below.detach().requires_grad_(), start)
            score = logits - logits.mean(1, keepdim=True)
            (gradient,) = torch.autograd.grad(score.gather(1, wanted[:, None]).sum(), seen[0])
    finally:
        handle.remove()
    heat = grad_cam(seen[0], gradient) if _is_map(backbone) else token_heat(seen[0], gradient)
    return np.asarray(heat.relu().detach().cpu().numpy(), np.float32)


def grad_cam(activations: Tensor, gradient: Tensor) -> Tensor:
    """Return [n, h, w], not yet cut at 0, of a map and a score's gradient there, both [n, c, h, w]."""
    return (gradient.mean((2, 3), keepdim=True) * activations).sum(1)


def token_heat(tokens: Tensor, gradient: Tensor) -> Tensor:
    """Return [n, h, w], not yet cut at 0, of tokens [n, h, w, d], or [n, 1 + h*w, d] behind a class token."""
    heat = (gradient * tokens).sum(-1)
    if heat.ndim == 3:
        return heat
    side = math.isqrt(heat.shape[1] - 1)
    return heat[:, 1:].reshape(len(heat), side, side)


def explained_layer(backbone: Backbone, stages: nn.Sequential) -> tuple[int, nn.Module]:
    """Return (from which stage on gradients are needed, the layer whose output is explained).

    For maps the last stage that has one. ViT's score reads the class token only, so its other tokens have a say until
    the last block attends to them: what that block's first normalisation gives. Swin's tokens: after the last
    normalisation, before their mean.
    """
    last = max(number for number, stage in enumerate(backbone.stages) if len(stage.shape) > 1)
    if _is_map(backbone):
        return last, stages[last]
    if len(backbone.stages[last].shape) == 2:
        return last, stages.get_submodule(f"{_name(stages, last)}.ln_1")
    return last + 1, stages.get_submodule(f"{_name(stages, last + 1)}.norm")


def _name(stages: nn.Sequential, number: int) -> str:
    return list(dict(stages.named_children()))[number]


def _is_map(backbone: Backbone) -> bool:
    """Tell whether the last stage with places has them as [c, h, w], not as tokens."""
    shape = [stage.shape for stage in backbone.stages if len(stage.shape) > 1][-1]
    return len(shape) == 3 and shape[1] == shape[2]


def to_unit(maps: Maps) -> Maps:
    """Return maps [..., h, w] with each one's most as 1; a map of zeros stays one."""
    most = maps.max((-2, -1), keepdims=True, initial=0)
    return np.asarray(np.divide(maps, most, out=np.zeros_like(maps), where=most > 0))
