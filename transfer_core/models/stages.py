"""How each published network is cut into named stages.

The modules themselves come from timm and torchvision; here is only where they are divided. A stage takes one
tensor, returns one tensor and leaves its input unchanged (activations at a cut are cached). The dropout that
feeds nothing but the classification layer belongs to the head and is left out, so the last stage returns the
plain features.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from transfer_core.models.backbones import Backbone


def make_source(backbone: Backbone) -> nn.Module:
    """The whole published network with random weights, classification layer and auxiliary parts included.

    timm and torchvision are imported here because each takes seconds.
    """
    if backbone.key.startswith("lite"):
        import timm

        source: nn.Module = timm.create_model(f"tf_efficientnet_{backbone.key}", pretrained=False)
        return source
    from torchvision import models

    # torchvision turns transform_input on together with its Inception weights, so these features need it.
    extra = {"transform_input": True, "init_weights": True} if backbone.key == "inception_v3" else {}
    published: nn.Module = models.get_model(backbone.key, weights=None, **extra)
    return published


def cut_source(backbone: Backbone, source: nn.Module) -> nn.Sequential:
    """The stages of `source` (from `make_source`) in order, sharing its tensors.

    Each child maps one tensor to one; together `[n, 3, size, size]` -> `[n, feature_dim]`.
    """
    return nn.Sequential(OrderedDict(_CUTS[backbone.family](source)))


Stages = dict[str, nn.Module]


def _parts(**children: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(children))


def _cut_lite(net: Any) -> Stages:
    stages: Stages = {"stem": _parts(conv=net.conv_stem, norm=net.bn1)}
    stages |= {f"block{i}": block for i, block in enumerate(net.blocks, start=1)}
    return stages | {"top": _parts(conv=net.conv_head, norm=net.bn2, pool=net.global_pool)}


def _pooled(**before: nn.Module) -> nn.Sequential:
    """The given modules, then the mean over the image: `[n, c, h, w]` -> `[n, c]`."""
    return _parts(**before, pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(1))


def _cut_resnet(net: Any) -> Stages:
    stages: Stages = {"stem": _parts(conv=net.conv1, norm=net.bn1, act=net.relu, pool=net.maxpool)}
    stages |= {f"layer{i}": getattr(net, f"layer{i}") for i in (1, 2, 3, 4)}
    return stages | {"top": _pooled()}


def _cut_vgg(net: Any) -> Stages:
    ends = [i for i, layer in enumerate(net.features, start=1) if isinstance(layer, nn.MaxPool2d)]
    blocks = zip([0, *ends], ends, strict=False)
    stages: Stages = {f"block{i}": net.features[a:b] for i, (a, b) in enumerate(blocks, start=1)}
    fc6, act6, drop6, fc7, act7 = net.classifier[:5]
    stages["fc6"] = _parts(pool=net.avgpool, flatten=nn.Flatten(1), fc=fc6, act=act6)
    # The dropout stands at the entry of fc7, as in AlexNet, so that it still acts when fc6 is frozen.
    return stages | {"fc7": _parts(drop=drop6, fc=fc7, act=act7)}


def _cut_alexnet(net: Any) -> Stages:
    starts = [i for i, layer in enumerate(net.features) if isinstance(layer, nn.Conv2d)]
    convs = zip(starts, [*starts[1:], len(net.features)], strict=True)
    stages: Stages = {f"conv{i}": net.features[a:b] for i, (a, b) in enumerate(convs, start=1)}
    drop6, fc6, act6, drop7, fc7, act7 = net.classifier[:6]
    stages["fc6"] = _parts(pool=net.avgpool, flatten=nn.Flatten(1), drop=drop6, fc=fc6, act=act6)
    return stages | {"fc7": _parts(drop=drop7, fc=fc7, act=act7)}


class _FromImageNetToHalf(nn.Module):
    """Turn input normalised by the ImageNet mean and std into mean = std = 0.5, which Google's Inception saw."""

    def forward(self, x: Tensor) -> Tensor:
        """`[n, 3, h, w]` -> the same shape."""
        pairs = zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)
        channels = [x[:, i : i + 1] * (std / 0.5) + (mean - 0.5) / 0.5 for i, (mean, std) in enumerate(pairs)]
        return torch.cat(channels, dim=1)


def _cut_inception(net: Any) -> Stages:
    first = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1"]
    second = ["Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2"]
    stem = {name: getattr(net, name) for name in first + second}
    stages: Stages = {"stem": _parts(transform_input=_FromImageNetToHalf(), **stem)}
    for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"):
        stages[f"mixed{name}"] = getattr(net, f"Mixed_{name}")
    return stages | {"top": _pooled()}


def _cut_densenet(net: Any) -> Stages:
    f = net.features
    stages: Stages = {"stem": _parts(conv=f.conv0, norm=f.norm0, act=f.relu0, pool=f.pool0)}
    for i in (1, 2, 3):
        stages[f"block{i}"] = getattr(f, f"denseblock{i}")
        stages[f"transition{i}"] = getattr(f, f"transition{i}")
    return stages | {"block4": f.denseblock4, "top": _pooled(norm=f.norm5, act=nn.ReLU(inplace=True))}


def _cut_mobilenet(net: Any) -> Stages:
    f = net.features
    stages: Stages = {"stem": f[0], "block1": f[1]}  # a block ends where the resolution or the width changes
    ends = [(2, 4), (4, 7), (7, 11), (11, 13), (13, 16)]
    stages |= {f"block{i}": f[a:b] for i, (a, b) in enumerate(ends, start=2)}
    top = {"flatten": nn.Flatten(1), "fc": net.classifier[0], "act": net.classifier[1]}
    return stages | {"conv": f[16], "top": _parts(pool=net.avgpool, **top)}


def _cut_efficientnet(net: Any) -> Stages:
    stages: Stages = {"stem": net.features[0]}
    stages |= {f"block{i}": net.features[i] for i in range(1, 8)}
    return stages | {"top": _pooled(conv=net.features[8])}


def _four_blocks(features: Any, first: str, between: str) -> Stages:
    """ConvNeXt and Swin: a patch layer, then four blocks with a halving of the resolution between them."""
    stages: Stages = {first: features[0], "block1": features[1]}
    for i in (2, 3, 4):
        stages |= {f"{between}{i}": features[2 * i - 2], f"block{i}": features[2 * i - 1]}
    return stages


def _cut_convnext(net: Any) -> Stages:
    top = _parts(pool=net.avgpool, norm=net.classifier[0], flatten=nn.Flatten(1))
    return _four_blocks(net.features, "stem", "down") | {"top": top}


def _cut_swin(net: Any) -> Stages:
    top = _pooled(norm=net.norm, permute=net.permute)
    return _four_blocks(net.features, "patches", "merge") | {"top": top}


class _Patches(nn.Module):
    """Image -> patch embeddings behind a class token, with positions added: `[n, 3, h, w]` -> `[n, 1 + p, d]`."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.conv = net.conv_proj
        self.class_token = net.class_token
        self.position = net.encoder.pos_embedding
        self.drop = net.encoder.dropout

    def forward(self, x: Tensor) -> Tensor:
        """Embed; the image must have the size the positions were learned for."""
        patches = self.conv(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), patches], dim=1)
        embedded: Tensor = self.drop(tokens + self.position)
        return embedded


class _ClassToken(nn.Module):
    """The first token of each image: `[n, tokens, d]` -> `[n, d]`."""

    def forward(self, x: Tensor) -> Tensor:
        """Pick it."""
        return x[:, 0]


def _cut_vit(net: Any) -> Stages:
    stages: Stages = {"patches": _Patches(net)}
    stages |= {f"layer{i}": layer for i, layer in enumerate(net.encoder.layers, start=1)}
    return stages | {"top": _parts(norm=net.encoder.ln, token=_ClassToken())}


_CUTS: dict[str, Callable[[Any], Stages]] = {
    "EfficientNet-Lite": _cut_lite,
    "ResNet": _cut_resnet,
    "VGG": _cut_vgg,
    "AlexNet": _cut_alexnet,
    "Inception": _cut_inception,
    "DenseNet": _cut_densenet,
    "MobileNetV3": _cut_mobilenet,
    "EfficientNet": _cut_efficientnet,
    "ConvNeXt": _cut_convnext,
    "Swin": _cut_swin,
    "ViT": _cut_vit,
}
