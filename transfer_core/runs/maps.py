"""Which feature maps a run has, without what makes them: where they are kept, and what there is to set beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transfer_core.evaluation.report import FEATURES
from transfer_core.runs.lab import Lab
from transfer_core.runs.store import Run, RunStore
from transfer_core.strategies import get_strategy


def map_path(store: RunStore, run: Run, method: str, features_of: str) -> Path:
    """Return where a map is kept; a run that was resumed has other features, so the attempt is part of the name."""
    return store.folder(run.id) / f"map-{method}-{features_of}-{run.attempt}.npz"


@dataclass(frozen=True)
class Before:
    """What a run's features are set beside: `features_of` as the helper wants it, empty where there is nothing; and why."""

    features_of: str
    words: str


def before(lab: Lab, run: Run) -> Before:
    """Return the features to set beside a run's: those without adaptation where it adapted, else those before training."""
    twin = lab.twin(run)
    if twin:
        if twin.state == "done" and (lab.store.folder(twin.id) / FEATURES).exists():
            return Before(twin.id, "Without adaptation")
        return Before("", "The same run without adaptation has not come to its end, or kept no features.")
    if not get_strategy(run.spec.strategy).pretrained:
        return Before(
            "", "This backbone was trained from scratch: before training its features mean nothing."
        )
    if run.spec.cut == len(run.spec.make_backbone().stages):
        return Before(
            "", "All stages were frozen, so training changed no feature: there is no before and after."
        )
    return Before("pretrained", "Before training")
