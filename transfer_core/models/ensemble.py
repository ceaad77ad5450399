"""Several networks on the same frozen stages, as one network that says the mean of their probabilities.

Lakshminarayanan, Pritzel and Blundell 2017, "Simple and Scalable Predictive Uncertainty Estimation using Deep
Ensembles". What lies above the cut is there once for each network, side by side in a single stage; so whatever takes
a classifier apart by stages and heads (testing, the bundle) need not know that there are several.
"""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from transfer_core.models.model import MAIN, Classifier


class SideBySide(nn.Module):
    """Networks that all see the same activations; their features stand side by side."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> Tensor:
        """Map activations at the cut to features [n, networks * d]."""
        return torch.cat([network(x) for network in self.networks], 1)


class MeanHead(nn.Module):
    """A head for each network; together they say the mean of their probabilities, as logits."""

    def __init__(self, heads: Sequence[nn.Module]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)

    def forward(self, x: Tensor) -> Tensor:
        """Map features [n, networks * d] to log-probabilities [n, classes]."""
        own = x.chunk(len(self.heads), 1)
        said = [head(each).log_softmax(1) for head, each in zip(self.heads, own, strict=True)]
        return torch.stack(said).logsumexp(0) - math.log(len(said))


class Ensemble(Classifier):
    """So many networks as copies of a first one that is ready to be trained, each trained by itself as a `member`.

    Members share the frozen stages with each other, and all parameters with the ensemble: when they are trained, so is
    it. Only the main heads are kept, and of the extras what images of the source are looked at with.
    """

    def __init__(self, first: Classifier, networks: int, cut: int) -> None:
        members = [copy.deepcopy(first) for _ in range(networks)]
        frozen = list(first.stages.named_children())[:cut]
        for member in members:
            own = list(member.stages.named_children())[cut:]
            member.stages = nn.Sequential(OrderedDict([*frozen, *own]))
        together = SideBySide([member.stages[cut:] for member in members])
        super().__init__(nn.Sequential(OrderedDict([*frozen, ("networks", together)])), 0, {})
        self.heads[MAIN] = MeanHead([member.heads[MAIN] for member in members])
        for number, member in enumerate(members):
            if "source_statistics" in member.extras:
                self.extras[f"source_statistics_{number}"] = member.extras["source_statistics"]
        self._members = members  # a list is no submodule: its parameters are there once

    @property
    def members(self) -> list[Classifier]:
        """The networks, each a classifier of its own."""
        return self._members
