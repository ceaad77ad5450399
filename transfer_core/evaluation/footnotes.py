"""What has to be known to read a run's figures: whose labels were used, what an oracle would have chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transfer_core.evaluation.words import percent


def tell_choice(result: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    """Return by what a finished run's epoch was chosen, and which one it is; an ensemble has one for each network."""
    rule: str = result["selection_rule"]
    if spec.get("networks", 1) > 1:
        return f"{rule}, in each network"
    return f"{rule} (epoch {result['best_epoch']} of {result['epoch']})"


def footnotes(
    result: Mapping[str, Any], spec: Mapping[str, Any], *, other_classes: bool = False
) -> list[str]:
    """Return the sentences that stand below the figures of a finished run, none where nothing is special.

    `spec`: the run's, as plain data. `other_classes`: source and target ask different questions. The same sentences stand on the page, in the
    command line and in the model card.
    """
    told: list[str] = []
    used = result.get("target_labels_used") or 0
    labels = "1 label" if used == 1 else f"{used:,} labels"
    if other_classes:
        told.append(
            f"Source and target have different classes: {labels} of the target were used, a quarter of them to choose the epoch, "
            "the others to teach."
        )
    elif used:
        told.append(
            f"{labels[0].upper()}{labels[1:]} of the target's training part {'was' if used == 1 else 'were'} used."
        )
    if (oracle := result.get("oracle")) and not other_classes:
        told.append(
            f"Chosen without labels of the target: epoch {result['best_epoch']}, balanced accuracy {percent(oracle['chosen'])} on "
            f"{oracle['images']:,} images of its training part. An oracle that knew their labels would have taken "
            f"epoch {oracle['epoch']} ({percent(oracle['balanced_accuracy'])})."
        )
    networks, whole = int(spec.get("networks", 1)), result.get("test_transductive", {})
    if whole.get("n") and ("oracle" in result or networks > 1) and not other_classes:
        told.append(
            f"On all {'other ' if used else ''}labelled images of the target, those of its training part too: balanced accuracy "
            f"{percent(whole['balanced_accuracy'])} (transductive, n {whole['n']:,})."
        )
    trained = int(result.get("networks", networks))
    if trained < networks:
        told.append(
            f"Only {trained} of its {networks} networks {'was' if trained == 1 else 'were'} trained; nothing else answers."
        )
    elif networks > 1:
        told.append(
            f"What it says is the mean of {networks} networks, trained alike but for the order of the images (an ensemble)."
        )
    told += _of_learning(result, spec)
    if unreached := result.get("unreached"):
        told.append(f"Stopped before “{unreached}”: the model is that of before.")
    return told


def _of_learning(result: Mapping[str, Any], spec: Mapping[str, Any]) -> list[str]:
    """Return from what else than labels, or from how few or how sure ones, it was learnt."""
    told = []
    for name, answers in result.get("second_question", {}).items():
        told.append(
            f"Learnt beside it, from the same images, as a second question: the further label “{name}” ({answers:,} answers)."
        )
    if shots := int(spec.get("knobs", {}).get("shots", 0)):
        told.append(
            f"Learnt from at most {shots:,} image{'' if shots == 1 else 's'} per class of the training part."
        )
    if name := spec.get("label_confidence"):
        told.append(
            f"Learnt as sure of each label as the further label “{name}” says; validation and test take all labels as certain."
        )
    return told
