"""Sensible defaults from the size of the data, so that a beginner need not choose.

After the hyper-rule of Big Transfer (Kolesnikov et al. 2020): the schedule follows from the number
of training images; the rest is what worked on small sets of a few thousand images (see
`benchmarks/results.md`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from transfer_core.data.augment import count_views
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split
from transfer_core.errors import UserError
from transfer_core.models.backbones import get_backbone
from transfer_core.models.device import resolve_device
from transfer_core.strategies import get_strategy
from transfer_core.training.spec import RunSpec, check_spec

IMBALANCE = 4.0  # largest class over smallest from which classes are weighted


def make_spec(manifest: Manifest, split: Split, wishes: Mapping[str, Any] | None = None) -> RunSpec:
    """Return a checked spec: what `wishes` names, and a default for all the rest.

    A wish that is None counts as not made.
    """
    wanted = {name: value for name, value in (wishes or {}).items() if value is not None}
    unknown = set(wanted) - {each.name for each in fields(RunSpec)}
    if unknown:
        raise UserError(f"There is no setting called {sorted(unknown)[0]!r}.")
    backbone = get_backbone(wanted.get("backbone", "lite0"))
    strategy = get_strategy(wanted.get("strategy", "feature_extraction"))
    stages = len(backbone.stages)
    n_train = sum(split.receipt.counts["train"].values())
    cut = wanted.get("cut", default_cut(stages, n_train) if strategy.chooses_cut else stages)
    augment = wanted.get("augment", "none")
    defaults = {
        "cut": cut,
        "epochs": default_epochs(strategy.name, n_train),
        "batch_size": default_batch_size(n_train),
        "class_weights": default_class_weights(split),
        "patience": default_patience(strategy.name),
    }
    values = defaults | wanted
    values["device"] = resolve_device(wanted.get("device", "auto"))
    values["views"] = count_views(augment, wanted.get("views"))
    return check_spec(RunSpec(manifest=manifest.id, split=split.id, **values))


def default_cut(stages: int, n_train: int) -> int:
    """Return how many stages to freeze when fine-tuning: two thirds, half from 5,000 images on."""
    return stages // 2 if n_train >= 5_000 else 2 * stages // 3


def default_epochs(strategy: str, n_train: int) -> int:
    """Return the number of epochs; for a linear probe, the points on its regularisation path."""
    if strategy == "feature_extraction":
        return 13
    return 20 if n_train < 1_000 else 15 if n_train < 5_000 else 10


def default_batch_size(n_train: int) -> int:
    """Return 16 below 500 training images, else 32: some 30 steps an epoch at least."""
    return 16 if n_train < 500 else 32


def default_patience(strategy: str) -> int:
    """Return the epochs without improvement after which a run ends by itself."""
    return 3 if strategy == "feature_extraction" else 6


def default_class_weights(split: Split) -> str:
    """Return "balanced" where the largest class is more than four times the smallest."""
    counts = [each for each in split.receipt.counts["train"].values() if each]
    return "balanced" if max(counts) > IMBALANCE * min(counts) else "none"
