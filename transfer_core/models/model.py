"""The network that trains: the stages of a backbone, and one linear head per task."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

MAIN = "main"


class Classifier(nn.Module):
    """Stages and heads. Inputs are activations at a cut, so the frozen part need not be run again."""

    def __init__(self, stages: nn.Sequential, feature_dim: int, heads: Mapping[str, int]) -> None:
        super().__init__()
        self.stages = stages
        self.heads = nn.ModuleDict({name: nn.Linear(feature_dim, n) for name, n in heads.items()})
        for head in self.heads.values():
            # Zero is the neutral start: every class equally likely, and the same for every seed.
            nn.init.zeros_(head.weight)  # type: ignore[arg-type]
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    def features(self, x: Tensor, cut: int) -> Tensor:
        """Return features [n, feature_dim] of activations at `cut`."""
        out: Tensor = self.stages[cut:](x)
        return out

    def forward(self, x: Tensor, cut: int, head: str = MAIN) -> Tensor:
        """Return logits [n, classes] of activations at `cut`."""
        out: Tensor = self.heads[head](self.features(x, cut))
        return out

    def part(self, name: str) -> nn.Module:
        """Return what a phase's `modules` names: "heads" or "stages.<number>"."""
        kind, _, number = name.partition(".")
        return self.stages[int(number)] if kind == "stages" else self.get_submodule(name)

    def freeze_below(self, cut: int) -> None:
        """Freeze the stages before `cut`, weights and batch-norm statistics alike; train the rest."""
        for index, stage in enumerate(self.stages):
            stage.requires_grad_(index >= cut)
            stage.train(index >= cut)
        self.heads.train()

    def trained_state(self, cut: int) -> dict[str, Tensor]:
        """Return a copy of what can train from `cut` on: parameters and buffers, on the CPU."""
        frozen = tuple(f"stages.{name}." for name, _ in list(self.stages.named_children())[:cut])
        state = self.state_dict()
        return {
            key: value.detach().cpu().clone().contiguous()
            for key, value in state.items()
            if not key.startswith(frozen or ("\0",))
        }

    def load_trained(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `trained_state` returned; keys that are not ours raise KeyError."""
        unexpected = self.load_state_dict(dict(state), strict=False).unexpected_keys
        if unexpected:
            raise KeyError(f"not in this model: {unexpected[:3]}")


@torch.no_grad()
def freeze_batch_norm(model: nn.Module) -> None:
    """Keep the running statistics of all batch-norm layers as they are, while weights still train."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
