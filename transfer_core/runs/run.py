"""A run as the store knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transfer_core.training.spec import RunSpec

ACTIVE = ("running", "stopping")
STUDY = "optimism-"  # what the tokens of a study's runs begin with
OVER = ("done", "stopped", "failed", "lost")


class Superseded(Exception):
    """Another attempt has taken the run over; this one must end without writing."""


@dataclass(frozen=True)
class Run:
    """One run as the store knows it. Times are seconds since 1970."""

    id: str
    spec: RunSpec
    manifest: str
    device: str
    name: str
    note: str
    state: str
    attempt: int
    parent: str | None
    created: float
    started: float | None
    ended: float | None
    beat: int
    stop_requested: bool
    error: str | None
    best: float | None
    result: Mapping[str, Any] | None
    of_study: bool = False  # a study of the data started it, to measure something, and nobody chose it

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.state in OVER
