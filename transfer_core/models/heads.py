"""Parts on top of the features: other heads than a linear one, and what only training needs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize


def make_discriminator(inputs: int, width: int, dropout: float) -> nn.Sequential:
    """Return a network from features [n, inputs] to the logit [n, 1] of coming from the source.

    With dropout and without batch-norm, whose statistics would give the domain away.
    """
    return nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(width, 1),
    )  # fmt: skip


class RandomProjection(nn.Module):
    """Two fixed random matrices, kept with the weights: `first` [d, size] and `second` [c, size]."""

    def __init__(self, features: int, classes: int, size: int) -> None:
        super().__init__()
        self.register_buffer("first", torch.randn(features, size))
        self.register_buffer("second", torch.randn(classes, size))


class RunningShares(nn.Module):
    """The running mean of predictions, in `shares` [classes]; kept with the weights, for a run that is resumed."""

    DECAY = 0.95  # per step: some twenty batches

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.shares: Tensor
        self.register_buffer("shares", torch.zeros(classes))

    @torch.no_grad()
    def take(self, probabilities: Tensor) -> Tensor:
        """Take in probabilities [n, classes] and return the mean; the first batch is the first mean."""
        mean = probabilities.mean(0)
        self.shares.copy_(mean if not self.shares.any() else self.shares.lerp(mean, 1 - self.DECAY))
        return self.shares


class SomeClasses(nn.Module):
    """A linear head that never says some of the classes."""

    def __init__(self, features: int, classes: int, said: Sequence[int]) -> None:
        super().__init__()
        self.linear = nn.Linear(features, classes)
        self.never: Tensor
        self.register_buffer("never", torch.tensor([number not in said for number in range(classes)]))

    def forward(self, x: Tensor) -> Tensor:
        """Map features [n, d] to logits [n, classes]."""
        logits: Tensor = self.linear(x)
        return logits.masked_fill(self.never, -1e4)


class TwoHeads(nn.Module):
    """Two linear heads started differently; together they say the mean of their probabilities, as logits."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.both = nn.ModuleList(nn.Linear(features, classes) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Map features [n, d] to log-probabilities [n, classes]."""
        first, second = (head(x).log_softmax(1) for head in self.both)
        return torch.logaddexp(first, second) - torch.log(torch.tensor(2.0))


class PrototypeHead(nn.Module):
    """Nearest prototype: minus the squared distance to each class's prototype is its logit.

    With `normalise`, features are centred and scaled to length 1 first; `scale` sets how sure a given
    distance makes. A class that was never seen is never said.
    """

    def __init__(self, features: int, classes: int, normalise: bool) -> None:
        super().__init__()
        self.normalise = normalise
        self.centre: Tensor
        self.prototypes: Tensor
        self.counts: Tensor
        self.register_buffer("centre", torch.zeros(features))
        self.centred: Tensor
        self.register_buffer("centred", torch.zeros(()))  # how many features the centre is the mean of
        self.register_buffer("prototypes", torch.zeros(classes, features))
        self.register_buffer("counts", torch.zeros(classes))
        self.scale = nn.Parameter(torch.tensor(10.0 if normalise else 0.1))

    @torch.no_grad()
    def take_centre(self, features: Tensor) -> None:
        """Take features [n, d] into the mean of all."""
        self.centred += len(features)
        self.centre += (features - self.centre).sum(0) / self.centred

    @torch.no_grad()
    def take(self, features: Tensor, y: Tensor) -> None:
        """Take features [n, d] into the prototypes of their classes y [n]; -1 does not count."""
        known = y >= 0
        member = F.one_hot(y[known], len(self.counts)).float()
        embedded = self.embed(features[known])
        self.counts += member.sum(0)
        gap = member.T @ embedded - member.sum(0).unsqueeze(1) * self.prototypes
        self.prototypes += gap / self.counts.clamp_min(1).unsqueeze(1)

    def embed(self, x: Tensor) -> Tensor:
        """Return features [n, d] as distances are taken."""
        return F.normalize(x - self.centre) if self.normalise else x

    def forward(self, x: Tensor) -> Tensor:
        """Map features [n, d] to logits [n, classes]."""
        gaps = (self.embed(x).unsqueeze(1) - self.prototypes.unsqueeze(0)).square().sum(2)
        return (-self.scale * gaps).masked_fill(self.counts == 0, -1e4)


class Decoder(nn.Module):
    """From features [n, d] back to an activation of a given shape, as far as an average over patches goes."""

    SIDE = 7  # patches in each direction
    NUMBERS = 1024  # that are rebuilt of an activation that is not a map

    def __init__(self, features: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.is_map = len(shape) == 3
        if self.is_map:
            channels = shape[2] if _channels_last(shape) else shape[0]
            self.grow = nn.Sequential(
                nn.Linear(features, 32 * self.SIDE**2), nn.ReLU(), nn.Unflatten(1, (32, self.SIDE, self.SIDE)),
                nn.Conv2d(32, channels, 3, padding=1),
            )  # fmt: skip
        else:
            self.grow = nn.Sequential(nn.Linear(features, self.NUMBERS))

    def summary(self, x: Tensor) -> Tensor:
        """Return what is to be rebuilt of an activation [n, ...]: its means over patches."""
        if self.is_map:
            return F.adaptive_avg_pool2d(x.movedim(-1, 1) if _channels_last(x.shape[1:]) else x, self.SIDE)
        return F.adaptive_avg_pool1d(x.flatten(1).unsqueeze(1), self.NUMBERS).squeeze(1)

    def forward(self, features: Tensor, x: Tensor) -> Tensor:
        """Return the mean squared error of rebuilding x [n, ...] from features [n, d], over its variance."""
        wanted = self.summary(x)
        error = (self.grow(features) - wanted).square().mean()
        return torch.as_tensor(error / wanted.var().clamp_min(1e-6))


def blank(x: Tensor, share: float) -> Tensor:
    """Return activations [n, ...] in which a share of the places, with all channels, is set to 0.

    A place is a position of a map, a token of a transformer, or a single number of a vector.
    """
    channels_last = x.ndim == 3 or _channels_last(x.shape[1:])
    places = x[..., :1] if channels_last else x[:, :1] if x.ndim == 4 else x
    return x * (torch.rand_like(places) >= share)


def _channels_last(shape: Sequence[int]) -> bool:
    """Tell whether a square map is [side, side, channels], as Swin's are, instead of [channels, side, side]."""
    return len(shape) == 3 and shape[0] == shape[1] != shape[2]


class Scale(nn.Module):
    """One factor per kernel [out, in, 1, 1], 1 at first."""

    def __init__(self, kernel: Tensor) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(*kernel.shape[:2], *(1,) * (kernel.ndim - 2)))

    def forward(self, kernel: Tensor) -> Tensor:
        """Scale a kernel [out, in, ...]."""
        return kernel * self.factor


class Shift(nn.Module):
    """One summand per output [out], 0 at first."""

    def __init__(self, bias: Tensor) -> None:
        super().__init__()
        self.summand = nn.Parameter(torch.zeros_like(bias))

    def forward(self, bias: Tensor) -> Tensor:
        """Shift a bias [out]."""
        return bias + self.summand


def add_scale_and_shift(stages: nn.Module) -> nn.ModuleList:
    """Put a scale on every convolution's kernels and a shift on its bias; return them, to be trained.

    The convolution's own weights stay what they are.
    """
    added = nn.ModuleList()
    for module in stages.modules():
        if isinstance(module, nn.Conv2d):
            parts = {"weight": Scale(module.weight)}
            if module.bias is not None:
                parts["bias"] = Shift(module.bias)  # type: ignore[assignment]
            for name, part in parts.items():
                parametrize.register_parametrization(module, name, part)
                added.append(part)
    return added


def bake(stages: nn.Module) -> None:
    """Multiply scales and add shifts into the weights, so that plain convolutions remain."""
    for module in list(stages.modules()):
        names = list(getattr(module, "parametrizations", {}))
        values = {name: getattr(module, name).detach().clone() for name in names}
        if values:
            # A copy shares the class that parametrisation made: it is left, not changed, or the original would break.
            module.__class__ = type(module).__mro__[1]
            del module.parametrizations
        for name, value in values.items():
            setattr(module, name, nn.Parameter(value))
