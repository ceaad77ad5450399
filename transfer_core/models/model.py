"""The network that trains: the stages of a backbone, and one linear head per task."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import Tensor, nn

from transfer_core.models.device import autocast
from transfer_core.models.statistics import STATISTICS

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
        self.extras = nn.ModuleDict()  # what only training needs, such as a discriminator
        self._precision = "fp32"
        # The context in which the weights are their running average, while a phase keeps one.
        self.averaged: Callable[[], AbstractContextManager[None]] = nullcontext

    def features(self, x: Tensor, cut: int) -> Tensor:
        """Return features [n, feature_dim] of activations at `cut`, in float32."""
        with autocast(x.device, self._precision):
            out: Tensor = self.stages[cut:](x)
        return out.float()

    @contextmanager
    def in_precision(self, precision: str) -> Iterator[None]:
        """Compute the stages in a run's precision for a while.

        Heads and losses stay in float32: they cost little, and covariances or distances of many numbers lose
        too much in bfloat16.
        """
        self._precision = precision
        try:
            yield
        finally:
            self._precision = "fp32"

    def forward(self, x: Tensor, cut: int, head: str = MAIN) -> Tensor:
        """Return logits [n, classes] of activations at `cut`."""
        out: Tensor = self.heads[head](self.features(x, cut))
        return out

    @property
    def members(self) -> list[Classifier]:
        """The networks that it consists of: itself, where it is no ensemble."""
        return [self]

    def part(self, name: str) -> nn.Module:
        """Return what a phase's `modules` names: "heads", "stages.<number>" or "extras.<name>"."""
        kind, _, number = name.partition(".")
        return self.stages[int(number)] if kind == "stages" else self.get_submodule(name)

    def kept(self, modules: Collection[str]) -> list[nn.Parameter]:
        """Return the parameters of named parts that are taken home: no extras, and of the heads the main one."""
        parts = [
            self.heads[MAIN] if name == "heads" else self.part(name)
            for name in modules
            if not name.startswith("extras.")
        ]
        return [each for part in parts for each in part.parameters()]

    def train_only(self, modules: Collection[str], cut: int) -> None:
        """Let the named parts train, weights and batch-norm statistics alike; freeze all others.

        A stage from `cut` on that is not named keeps its weights, and its statistics too.
        """
        self.eval().requires_grad_(False)
        for name in modules:
            assert not name.startswith("stages.") or int(name.partition(".")[2]) >= cut
            self.part(name).requires_grad_(True).train()

    def trained_state(self, cut: int) -> dict[str, Tensor]:
        """Return a copy, on the CPU, of what can differ from the pretrained weights.

        These are the parameters and buffers from `cut` on, and below it the batch-norm statistics.
        """
        frozen = tuple(f"stages.{name}." for name, _ in list(self.stages.named_children())[:cut])
        state = self.state_dict()
        return {
            key: value.detach().cpu().clone().contiguous()
            for key, value in state.items()
            if key.endswith(STATISTICS) or not key.startswith(frozen or ("\0",))
        }

    def load_trained(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `trained_state` returned; keys that are not ours raise KeyError."""
        unexpected = self.load_state_dict(dict(state), strict=False).unexpected_keys
        if unexpected:
            raise KeyError(f"not in this model: {unexpected[:3]}")
