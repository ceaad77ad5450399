"""Batch-norm statistics: kept still, begun anew, measured, or kept a second time for another domain."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

STATISTICS = ("running_mean", "running_var")


def has_batch_norm(model: nn.Module) -> bool:
    """Tell whether a network has any batch-norm."""
    return bool(_batch_norms(model))


def freeze_batch_norm(model: nn.Module) -> None:
    """Keep the running statistics of all batch-norm layers as they are, while weights still train."""
    for norm in _batch_norms(model):
        norm.eval()


@contextmanager
def statistics_kept(model: nn.Module) -> Iterator[None]:
    """Normalise by the batch, where batch-norms train, but leave the running statistics as they are."""
    norms = _batch_norms(model)
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum


@contextmanager
def nothing_dropped(model: nn.Module) -> Iterator[None]:
    """Take dropout and stochastic depth out for a while; batch-norms stay in the mode they are in."""
    others = [
        each
        for each in model.modules()
        if each.training and not isinstance(each, nn.modules.batchnorm._BatchNorm)
    ]
    for each in others:
        each.training = False
    try:
        yield
    finally:
        for each in others:
            each.training = True


def forget_statistics(model: nn.Module) -> None:
    """Let every batch-norm that trains begin its statistics anew, as plain means over what it will see."""
    for norm in _batch_norms(model):
        if norm.training:
            norm.reset_running_stats()
            norm.momentum = None


@torch.no_grad()
def measure_statistics(stages: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the statistics of all batch-norms to those of batches of network inputs [n, 3, s, s].

    Li et al. 2017 ("AdaBN"): each layer is normalised by the batch while those above it are measured.
    """
    norms = _batch_norms(stages)
    before = [(norm.momentum, norm.training) for norm in norms]
    for norm in norms:
        norm.train()
    forget_statistics(stages)
    try:
        for x in batches:
            stages(x)
    finally:
        for norm, (momentum, training) in zip(norms, before, strict=True):
            norm.momentum = momentum
            norm.train(training)


def digest_statistics(stages: nn.Module) -> str:
    """Return twelve hex digits of the statistics of all batch-norms."""
    found = hashlib.sha256()
    for norm in _batch_norms(stages):
        for name in STATISTICS:
            found.update(getattr(norm, name).cpu().numpy().tobytes())
    return found.hexdigest()[:12]


class OtherStatistics(nn.Module):
    """A second set of running statistics for the batch-norms of some stages: each domain has its own.

    Chang et al. 2019, "Domain-Specific Batch Normalization". They are kept with the weights. `below`: only those of the
    stages before that one differ, until `keep_all`.
    """

    reach: Tensor | None  # how many of the batch-norms differ; None: all

    def __init__(self, stages: nn.Sequential, below: int | None = None) -> None:
        super().__init__()
        reach = None if below is None else torch.tensor(len(_batch_norms(stages[:below])))
        self.register_buffer("reach", reach)
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

    @torch.no_grad()
    def keep_all(self, stages: nn.Module) -> None:
        """Take the statistics that the stages have now for those that did not differ so far; from now on all may."""
        assert self.reach is not None
        norms = _batch_norms(stages)
        for number in range(int(self.reach), len(norms)):
            for name in STATISTICS:
                getattr(self, f"{name}_{number}").copy_(getattr(norms[number], name))
        self.reach.fill_(len(norms))

    def _swap(self, stages: nn.Module) -> None:
        reach = None if self.reach is None else int(self.reach)
        for number, norm in enumerate(_batch_norms(stages)[:reach]):
            for name in STATISTICS:
                own, other = getattr(norm, name), getattr(self, f"{name}_{number}")
                setattr(norm, name, other)
                setattr(self, f"{name}_{number}", own)


def _batch_norms(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    return [each for each in model.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)]
