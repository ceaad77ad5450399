"""Sensible defaults from the size of the data, so that a beginner need not choose.

After the hyper-rule of Big Transfer (Kolesnikov et al. 2020): the schedule follows from the number
of training images; the rest is what worked on small sets of a few thousand images (see
`benchmarks/results.md`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from transfer_core.data.augment import count_views
from transfer_core.data.manifest import TARGET_TRAIN, Manifest
from transfer_core.data.split import Split
from transfer_core.errors import UserError
from transfer_core.knobs import get_knobs
from transfer_core.models.backbones import Backbone, get_backbone
from transfer_core.models.device import resolve_device
from transfer_core.strategies import (
    BATCH_NORM,
    CONVOLUTIONS,
    FURTHER_LABEL,
    TARGET,
    UNLABELLED,
    Strategy,
    get_strategy,
)
from transfer_core.strategies.fine_tuning import FineTuning
from transfer_core.strategies.source_only import SourceOnly
from transfer_core.training.labels import choose_auxiliary, further_labels, label_confidence
from transfer_core.training.spec import RULES, RunSpec, check_spec

LEAST_LABELS = (
    2  # of the target per class where only they teach its classes: one trains, one chooses the epoch
)
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
    cut = wanted.get("cut", default_cut(strategy, stages, n_train))
    augment = wanted.get("augment", "safe" if strategy.least_views > 1 else "none")
    defaults = {
        "cut": cut,
        "epochs": default_epochs(strategy.name, n_train),
        "batch_size": default_batch_size(n_train),
        "class_weights": default_class_weights(split),
        "patience": default_patience(strategy.name),
        "select": "combined" if split.rule == "transfer" and not split.new_classes else "validation_loss",
        "source": split.train_domain,
        "target": split.test_domain,
    }
    values = defaults | {"augment": augment} | wanted
    if split.rule != "transfer" and values["select"] != "validation_loss":
        raise UserError(f"Choosing by {RULES[values['select']]} needs a split from one domain to another.")
    if split.new_classes and values["select"] in ("combined", "class_share_agreement"):
        raise UserError(f"Choosing by {RULES[values['select']]} needs the same classes in source and target.")
    values["device"] = resolve_device(wanted.get("device", "auto"))
    values["views"] = count_views(augment, wanted.get("views"))
    spec = check_spec(RunSpec(manifest=manifest.id, split=split.id, **values))
    if spec.label_confidence:
        label_confidence(manifest, spec.label_confidence)
        if split.new_classes:
            raise UserError("Confidence in the labels needs the same classes in source and target.")
    if spec.knobs.get("target_labels") and split.rule != "transfer":
        raise UserError("Labelled target images (target_labels) need a split from one domain to another.")
    return spec


def default_strategy(split: Split) -> str:
    """Return the strategy to start with on a split (see `benchmarks/results.md`)."""
    if split.new_classes:
        return "multi_task"
    return "adversarial_self_training" if split.rule == "transfer" else "feature_extraction"


def default_cut(strategy: type[Strategy], stages: int, n_train: int) -> int:
    """Return how many stages to freeze when tuning: two thirds, half from 5,000 images on."""
    if strategy.freezes == "all" or strategy.name == "prototypical":
        return stages
    if strategy.freezes == "nothing":
        return 0
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
    if split.new_classes:  # what is learnt is drawn evenly
        return "none"
    return "balanced" if max(counts) > IMBALANCE * min(counts) else "none"


def unmet_need(
    strategy: Strategy | type[Strategy],
    manifest: Manifest,
    split: Split,
    backbone: Backbone | None = None,
    cut: int | None = None,
) -> str | None:
    """Return in a sentence what a strategy needs and does not find, None where it can run.

    A strategy's class asks whether it can run with any of its settings. `cut`: so many of the backbone's stages are
    frozen; without it, whether it can run with any number of them.
    """
    transfer = split.rule == "transfer"
    if TARGET in strategy.needs and not transfer:
        if len(manifest.domains) < 2:
            return "Needs images of two domains, such as two sites or cameras: bring them in a folder each."
        return "Needs a source and a target domain: split from one domain to another."
    if UNLABELLED in strategy.needs and not transfer and not split.free(manifest):
        return "Needs images without a label: put them into a folder named unlabelled, or split from one domain to another."
    if lack := _unmet_by_classes(strategy, len(manifest.classes)) or _unmet_by_backbone(
        strategy, backbone, cut
    ):
        return lack
    if split.new_classes:
        return _unmet_by_other_classes(strategy, split)
    if FURTHER_LABEL in strategy.needs:
        return _unmet_by_further_labels(strategy, manifest)
    return None


def _unmet_by_classes(strategy: Strategy | type[Strategy], classes: int) -> str | None:
    fewest = strategy.fewest_classes()
    needed = fewest if isinstance(strategy, type) else strategy.classes_needed()
    if classes >= needed:
        return None
    other = "Prototypes (prototypical) work with few classes."
    fewer = "Choose fewer classes per episode (way). " if classes >= fewest else ""
    return f"Needs at least {needed} classes, more than half of them to practise on, and there are {classes}. {fewer}{other}"


def _unmet_by_backbone(
    strategy: Strategy | type[Strategy], backbone: Backbone | None, cut: int | None
) -> str | None:
    if backbone is None:
        return None
    for need, there in ((BATCH_NORM, "batch_norm"), (CONVOLUTIONS, "convolutions")):
        if need not in strategy.needs or any(getattr(each, there) for each in backbone.stages[cut or 0 :]):
            continue
        if any(getattr(each, there) for each in backbone.stages):
            return f"{backbone.title} has no {need} above the frozen stages: freeze fewer, or choose another backbone."
        return f"{backbone.title} has no {need}: choose another backbone."
    return None


def _unmet_by_further_labels(strategy: Strategy | type[Strategy], manifest: Manifest) -> str | None:
    if not further_labels(manifest):
        return (
            "Needs a second question: a further label of the images (a table of labels with one more column), or two "
            "domains with different classes."
        )
    if isinstance(strategy, Strategy):
        try:
            choose_auxiliary(manifest, getattr(strategy, "auxiliary", ""))
        except UserError as error:
            return str(error)
    return None


def _unmet_by_other_classes(strategy: Strategy | type[Strategy], split: Split) -> str | None:
    if not strategy.takes_other_classes:
        new = ", ".join(split.new_classes)
        return f"The target has classes that the source does not have ({new}): only multi-task (multi_task) learns both."
    if isinstance(strategy, Strategy) and getattr(strategy, "target_labels", 0) < LEAST_LABELS:
        return (
            f"Source and target have different classes, so some labels of the target are needed: set labelled target images "
            f"(target_labels) to {LEAST_LABELS} or more per class."
        )
    known = split.receipt.counts[TARGET_TRAIN]
    few = [
        name
        for name in split.receipt.counts["test"]
        if known[name] + split.receipt.counts["test"][name] > 0 and known[name] < LEAST_LABELS
    ]
    if few:
        return f"Fewer than {LEAST_LABELS} images of {', '.join(few)} are left to learn from: bring more, or make the test part smaller."
    return None


def twin_spec(spec: RunSpec, split: Split) -> RunSpec | None:
    """Return the same run without adaptation, which every adaptation is compared with; None where there is none.

    Same images, views, schedule, averaging and rule of choice: what differs is only the adaptation.
    """
    strategy = spec.make_strategy()
    looks = {TARGET, UNLABELLED} & set(strategy.needs) or (
        strategy.looks_at_unlabelled and split.rule == "transfer"
    )
    if strategy.name == SourceOnly.name or not looks:
        return None
    plain = SourceOnly if split.rule == "transfer" else FineTuning
    names = {each.name for each in get_knobs(plain)}
    knobs = {name: value for name, value in spec.knobs.items() if name in names}
    return check_spec(replace(spec, strategy=plain.name, knobs=knobs))
