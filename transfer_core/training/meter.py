"""What the training part of an epoch measures while it goes."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from transfer_core.strategies import StepLoss

TELL_EVERY = 0.5  # seconds


class Meter:
    """Sums over the steps of one epoch, kept on the device so that a step need not wait for them."""

    def __init__(self) -> None:
        self._terms: dict[str, Tensor] = {}
        self._facts: dict[str, Tensor | float] = {}
        self._hits: Tensor | None = None
        self._seen: Tensor | float = 0  # labelled images whose prediction was seen
        self._calls = 0
        self._images = 0
        self._started = self._told = time.monotonic()
        self._told_images = 0

    @torch.no_grad()
    def see(self, outcome: StepLoss, y: Tensor) -> None:
        """Take in the loss of one evaluation and the predictions for labels [n]."""
        for name, term in outcome.terms.items():
            self._terms[name] = self._terms.get(name, torch.zeros_like(term)) + term.detach()
        for name, fact in outcome.facts.items():
            self._facts[name] = self._facts.get(name, 0.0) + fact
        known = y >= 0
        hits = ((outcome.logits.argmax(1) == y) & known).sum()
        self._hits = hits if self._hits is None else self._hits + hits
        self._seen = self._seen + known.sum()
        self._calls += 1

    @torch.no_grad()
    def see_more(self, outcome: StepLoss) -> None:
        """Take in the loss of a further update on the same batch."""
        for name, term in outcome.terms.items():
            self._terms[name] = self._terms.get(name, torch.zeros_like(term)) + term.detach()

    def count(self, images: int) -> None:
        """Note that a step over some images is done."""
        self._images += images

    def is_due(self) -> bool:
        """Tell whether the last telling is long enough ago."""
        return time.monotonic() - self._told >= TELL_EVERY

    def speed(self) -> float:
        """Return images per second since the last telling, and begin counting anew."""
        now = time.monotonic()
        speed = (self._images - self._told_images) / max(now - self._told, 1e-9)
        self._told, self._told_images = now, self._images
        return speed

    def mean_loss(self) -> float:
        """Return the mean of the summed terms so far."""
        return sum(self._mean_terms().values())

    def figures(self) -> dict[str, float]:
        """Return loss, its terms and, where labelled ones were seen, the accuracy on the training images."""
        right = (
            {}
            if self._hits is None or not self._seen
            else {"accuracy": float(self._hits) / float(self._seen)}
        )
        return {"loss": self.mean_loss(), **right, **self._mean_terms()}

    def facts(self) -> dict[str, float]:
        """Return the means of the further numbers that a strategy watches."""
        return {name: float(fact) / max(self._calls, 1) for name, fact in self._facts.items()}

    def _mean_terms(self) -> dict[str, float]:
        return {name: float(term) / max(self._calls, 1) for name, term in self._terms.items()}
