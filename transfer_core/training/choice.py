"""The one number by which an epoch, or a run among others, is chosen without looking at test images."""

from __future__ import annotations

import math
from collections.abc import Mapping

from transfer_core.training.spec import RULES

NATS = math.log(2_000)  # the density of the most images that are compared is about this at most
AGREED = 0.9  # agreement of class shares from which epochs count as equal: shares of two domains are never quite the same


def score(rule: str, val: Mapping[str, float], target: Mapping[str, float]) -> float:
    """Return the number to be made small by which an epoch is chosen; NaN stays NaN."""
    if rule == "validation_loss":
        return val["loss"]
    if rule == "combined":
        return -(val["balanced_accuracy"] + min(target["class_share_agreement"], AGREED))
    if rule == "together":
        dense = target["soft_neighbourhood_density"] / NATS
        return -(val["balanced_accuracy"] + target["information_maximisation"] + dense) / 3
    assert rule in RULES
    return -target[rule]
