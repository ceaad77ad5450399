"""How often a run is right with the decision that is in use, beside the likeliest class."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from transfer_core.evaluation.cases import Cases
from transfer_core.evaluation.decision import Decision, Wishes
from transfer_core.evaluation.draws import Interval
from transfer_core.evaluation.shares import share_of


@dataclass(frozen=True)
class Right:
    """So many of n images right, with the interval of the share."""

    n: int
    accuracy: float
    accuracy_ci: Interval


@dataclass(frozen=True)
class InUse:
    """How often what is said is right: of all labelled test images, and of those that do not go to a person.

    `rest` is None where nothing is referred by probability, or nothing is left.
    """

    right: Right
    referred: int
    rest: Right | None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        rest = asdict(self.rest) if self.rest else None
        return asdict(self.right) | {"referred": self.referred, "rest": rest}


def is_decided(wishes: Wishes) -> bool:
    """Tell whether anything but the likeliest class was decided; how large sets are changes nothing that is said."""
    return bool(wishes.thresholds or wishes.refer_below)


def measure(decision: Decision, cases: Cases, *, grouped: bool) -> InUse | None:
    """Return how often the decision is right on labelled images; None where nothing was decided, or without labels.

    `grouped`: whole groups are drawn for the intervals.
    """
    if not is_decided(decision.wishes) or not len(cases.truth):
        return None
    calibrated = decision.calibrated(cases.probabilities)
    hits = decision.said(calibrated) == cases.truth
    groups = np.array([row.group or row.image for row in cases.rows]) if grouped else None
    left = ~decision.refers(calibrated)
    rest = _right(hits[left], None if groups is None else groups[left])
    return InUse(
        _right(hits, groups), int((~left).sum()), rest if decision.wishes.refer_below and left.any() else None
    )


def _right(hits: npt.NDArray[np.bool_], groups: npt.NDArray[np.str_] | None) -> Right:
    if not len(hits):
        return Right(0, 0.0, (0.0, 1.0))
    found = share_of(hits, None if groups is None else groups.tolist())
    return Right(len(hits), float(hits.mean()), found.interval)


def threshold(probability: float) -> str:
    """Return a threshold as percent, with as many digits as tell it from others."""
    return f"{100 * probability:.3g} %"


def rule_words(wishes: Wishes) -> str:
    """Return the decision in words: "defekt from 14.2 %, to a person below 55 %"; nothing where none was taken."""
    parts = [f"{name} from {threshold(share)}" for name, share in wishes.thresholds.items()]
    if wishes.refer_below:
        parts.append(f"to a person below {threshold(wishes.refer_below)}")
    return ", ".join(parts)
