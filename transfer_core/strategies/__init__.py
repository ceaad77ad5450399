"""The strategies, one file each; this tuple is the whole registry."""

from __future__ import annotations

from transfer_core.errors import UserError
from transfer_core.strategies.base import Batch, Phase, StepLoss, Strategy, Task
from transfer_core.strategies.feature_extraction import FeatureExtraction
from transfer_core.strategies.fine_tuning import FineTuning

STRATEGIES: tuple[type[Strategy], ...] = (FeatureExtraction, FineTuning)

__all__ = ["STRATEGIES", "Batch", "Phase", "StepLoss", "Strategy", "Task", "get_strategy"]


def get_strategy(name: str) -> type[Strategy]:
    """Return a strategy's class by name; UserError lists the names."""
    for each in STRATEGIES:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in STRATEGIES)
    raise UserError(f"There is no strategy {name!r}; choose one of {names}.")
