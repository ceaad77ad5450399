"""The network that trains: the stages of a backbone, and one linear head per task."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from transfer_core.models.device import autocast

MAIN = "main"
STATISTICS = ("running_mean", "running_var")


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

    def part(self, name: str) -> nn.Module:
        """Return what a phase's `modules` names: "heads", "stages.<number>" or "extras.<name>"."""
        kind, _, number = name.partition(".")
        return self.stages[int(number)] if kind == "stages" else self.get_submodule(name)

    def train_only(self, modules: Collection[str], cut: int) -> None:
        """Let the named parts train, weights and batch-norm statistics alike; freeze all others.

        A stage from `cut` on that is not named keeps its weights, and its statistics too.
        """
        self.eval().requires_grad_(False)
        for name in modules:
            assert not name.startswith("stages.") or int(name.partition(".")[2]) >= cut
            self.part(name).requires_grad_(True).train()

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


def freeze_batch_norm(model: nn.Module) -> None:
    """Keep the running statistics of all batch-norm layers as they are, while weights still train."""
    for norm in _batch_norms(model):
        norm.eval()


def forget_statistics(model: nn.Module) -> None:
    """Let every batch-norm that trains begin its statistics anew, as plain means over what it will see."""
    for norm in _batch_norms(model):
        if norm.training:
            norm.reset_running_stats()
            norm.momentum = None


class OtherStatistics(nn.Module):
    """A second set of running statistics for the batch-norms of some stages: each domain has its own.

    Chang et al. 2019, "Domain-Specific Batch Normalization". They are kept with the weights.
    """

    def __init__(self, stages: nn.Module) -> None:
        super().__init__()
        for number, norm in enumerate(_batch_norms(stages)):
            for name in STATISTICS:
                self.register_buffer(f"{name}_{number}", getattr(norm, name).clone())

    @contextmanager
    def applied(self, stages: nn.Module) -> Iterator[None]:
        """Let these stand in for the statistics of the stages for a while, in training as in testing."""
        self._swap(stages)
        try:
            yield
        finally:
            self._swap(stages)

    def _swap(self, stages: nn.Module) -> None:
        for number, norm in enumerate(_batch_norms(stages)):
            for name in STATISTICS:
                own, other = getattr(norm, name), getattr(self, f"{name}_{number}")
                setattr(norm, name, other)
                setattr(self, f"{name}_{number}", own)


def has_batch_norm(model: nn.Module) -> bool:
    """Tell whether a network has any batch-norm."""
    return bool(_batch_norms(model))


def _batch_norms(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    return [each for each in model.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)]
