"""The strategies, one file each; this tuple is the whole registry."""

from __future__ import annotations

from transfer_core.errors import UserError
from transfer_core.strategies.adabn import AdaBN
from transfer_core.strategies.adversarial_self_training import AdversarialSelfTraining
from transfer_core.strategies.autoencoder import Autoencoder
from transfer_core.strategies.base import (
    BATCH_NORM,
    CONVOLUTIONS,
    FURTHER_LABEL,
    TARGET,
    UNLABELLED,
    Batch,
    Episodes,
    Phase,
    StepLoss,
    Strategy,
    Task,
)
from transfer_core.strategies.cdan import CDAN
from transfer_core.strategies.coral import CORAL
from transfer_core.strategies.dann import DANN
from transfer_core.strategies.feature_extraction import FeatureExtraction
from transfer_core.strategies.fine_tuning import FineTuning
from transfer_core.strategies.from_scratch import FromScratch
from transfer_core.strategies.mcc import MCC
from transfer_core.strategies.mcd import MCD
from transfer_core.strategies.meta_transfer import MetaTransfer
from transfer_core.strategies.mmd import MMD
from transfer_core.strategies.multi_task import MultiTask
from transfer_core.strategies.probe_then_tune import ProbeThenTune
from transfer_core.strategies.prototypical import Prototypical
from transfer_core.strategies.self_training import SelfTraining
from transfer_core.strategies.source_only import SourceOnly

STRATEGIES: tuple[type[Strategy], ...] = (
    FeatureExtraction, FineTuning, ProbeThenTune,
    SourceOnly, AdversarialSelfTraining, MCC, DANN, CDAN, MMD, CORAL, MCD, AdaBN,
    SelfTraining, Autoencoder, MultiTask, Prototypical, MetaTransfer,
    FromScratch,
)  # fmt: skip

__all__ = [
    "BATCH_NORM",
    "CONVOLUTIONS",
    "FURTHER_LABEL",
    "STRATEGIES",
    "TARGET",
    "UNLABELLED",
    "Batch",
    "Episodes",
    "Phase",
    "StepLoss",
    "Strategy",
    "Task",
    "get_strategy",
]


def get_strategy(name: str) -> type[Strategy]:
    """Return a strategy's class by name; UserError lists the names."""
    for each in STRATEGIES:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in STRATEGIES)
    raise UserError(f"There is no strategy {name!r}; choose one of {names}.")
