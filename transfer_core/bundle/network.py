"""The network as it leaves the house: from 8-bit pixels to probabilities, with nothing left to do outside.

Normalisation, the mean over views and the temperature are inside, so that whoever runs it cannot get them wrong.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from transfer_core.data.augment import list_symmetries
from transfer_core.errors import UserError
from transfer_core.files import atomic_path, set_usual_mode
from transfer_core.models.backbones import Backbone
from transfer_core.models.ensemble import Ensemble, MeanHead
from transfer_core.models.heads import PrototypeHead, SomeClasses, TwoHeads, bake
from transfer_core.models.loading import make_stages
from transfer_core.models.model import MAIN, Classifier

MOST_NETWORKS = 10  # that a run may have; a bundle from outside could name any number
SMALLEST = 1e-30  # a probability below it counts as this, as in evaluation.calibrate
HEAD = f"heads.{MAIN}."
Turn = tuple[int, bool, bool]  # quarter turns, mirrored left and right, mirrored up and down


class Portable(nn.Module):
    """Pixels [n, 3, s, s] uint8 -> (calibrated probabilities [n, classes], plain ones, features [n, d])."""

    def __init__(
        self,
        stages: nn.Module,
        head: nn.Module,
        backbone: Backbone,
        turns: Sequence[Turn],
        temperature: float,
    ) -> None:
        super().__init__()
        self.stages, self.head = stages, head
        self.turns, self.temperature = tuple(turns), temperature
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.tensor(backbone.mean).view(1, -1, 1, 1) * 255, persistent=False)
        scale = 1 / (torch.tensor(backbone.std).view(1, -1, 1, 1) * 255)
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Look at every view and say the mean; the temperature divides the logits of that mean."""
        x = (pixels.float() - self.mean) * self.scale
        views = len(self.turns)
        if views > 1:  # as one large batch: the graph then holds the stages once
            x = torch.cat([_turned(x, turn) for turn in self.turns])
        features: Tensor = self.stages(x)
        plain = self.head(features).softmax(1)
        if views > 1:
            plain, features = (each.unflatten(0, (views, -1)).mean(0) for each in (plain, features))
        return (plain.clamp_min(SMALLEST).log() / self.temperature).softmax(1), plain, features


def _turned(x: Tensor, turn: Turn) -> Tensor:
    """Return images [n, c, s, s] turned and mirrored; with transpositions, which every runtime has."""
    quarters, mirror, upside = turn
    if quarters % 2:
        x = x.transpose(2, 3).flip(2) if quarters == 1 else x.transpose(2, 3).flip(3)
    elif quarters == 2:
        x = x.flip(2).flip(3)
    x = x.flip(3) if mirror else x
    return x.flip(2) if upside else x


def make_portable(
    model: Classifier, backbone: Backbone, augment: str, views: int, temperature: float
) -> Portable:
    """Return the network of a trained classifier, which stays as it is; `views` of an augmentation are averaged."""
    stages, head = copy.deepcopy(model.stages), copy.deepcopy(model.heads[MAIN])
    bake(stages)
    return Portable(stages, head, backbone, list_symmetries(augment)[:views], temperature).eval().cpu()


def describe_head(head: nn.Module) -> dict[str, Any]:
    """Return what is needed to make an empty head of the same kind, of an ensemble each network's: plain data."""
    if isinstance(head, MeanHead):
        return describe_head(head.heads[0])
    if isinstance(head, PrototypeHead):
        return {"kind": "prototypes", "normalise": head.normalise}
    return {"kind": next(kind for kind, own in _HEADS.items() if isinstance(head, own))}


_HEADS: dict[str, type[nn.Module]] = {"linear": nn.Linear, "some": SomeClasses, "two": TwoHeads}


def _make_head(about: Mapping[str, Any], features: int, classes: int) -> nn.Module:
    kind = about.get("kind")
    if kind == "prototypes":
        return PrototypeHead(features, classes, bool(about.get("normalise")))
    if kind == "some":
        return SomeClasses(features, classes, range(classes))
    if kind not in _HEADS:
        raise UserError(f"The bundle names a head {kind!r} that this version does not know.", "bad-bundle")
    return _HEADS[kind](features, classes)


def save_weights(network: Portable, path: Path, about: Mapping[str, str]) -> None:
    """Write the weights as safetensors, `stages.<stage>...` and `heads.main...`; `about` stands in the header."""
    from safetensors.torch import save_file

    tensors = {
        name.replace("head.", HEAD, 1) if name.startswith("head.") else name: value.detach()
        .clone()
        .contiguous()
        for name, value in network.state_dict().items()
    }
    with atomic_path(path) as part:
        save_file(tensors, part, metadata=dict(about))
        set_usual_mode(part)  # safetensors lets nobody else read it


def read_weights_header(path: Path) -> dict[str, str]:
    """Return what the header of a weights file says; UserError where it cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path.name} is damaged: {error}.", "bad-bundle") from None


def load_network(
    path: Path,
    backbone: Backbone,
    head: Mapping[str, Any],
    classes: int,
    augment: str,
    views: int,
    temperature: float,
    networks: int = 1,
    cut: int = 0,
) -> Portable:
    """Return the network of a weights file that `save_weights` wrote. No file but safetensors is ever read.

    `networks`: so many stand side by side above `cut` frozen stages.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not (1 <= networks <= MOST_NETWORKS and 0 <= cut <= len(backbone.stages)):
        raise UserError(
            f"The bundle names {networks} networks above {cut} frozen stages, which no run has.", "bad-bundle"
        )
    model = Classifier(make_stages(backbone), backbone.feature_dim, {})
    model.heads[MAIN] = _make_head(head, backbone.feature_dim, classes)
    if networks > 1:
        model = Ensemble(model, networks, cut)
    turns = list_symmetries(augment)[:views]
    network = Portable(model.stages, model.heads[MAIN], backbone, turns, temperature)
    try:
        found = load_file(path)
        state = {
            name.replace(HEAD, "head.", 1) if name.startswith(HEAD) else name: value
            for name, value in found.items()
        }
        network.load_state_dict(state)
    except (SafetensorError, OSError, RuntimeError) as error:
        first = str(error).strip().splitlines()[-1].strip()
        raise UserError(
            f"{path.name} does not hold the weights of {backbone.title}: {first}", "bad-bundle"
        ) from None
    return network.eval()
