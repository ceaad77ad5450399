"""How probabilities become a decision: temperature, thresholds, prediction sets, and what goes to a person.

Everything here is fitted on validation images, which the model did not learn from, and says so; the test images are
left to measure what comes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from transfer_core.evaluation.calibrate import apply_temperature, fit_temperature
from transfer_core.evaluation.cases import Cases
from transfer_core.evaluation.conformal import fit_conformal, prediction_sets
from transfer_core.files import read_json, told_as, write_json

Floats = npt.NDArray[np.float64]
FILE = "decision.json"


@dataclass(frozen=True)
class Wishes:
    """What a person decided for a run. `thresholds`: class -> probability from which it is said, the others by themselves.

    `refer_below`: what is said with a lower probability goes to a person; `coverage`: how often the prediction set is to
    hold the true class. All probabilities are calibrated ones.
    """

    thresholds: Mapping[str, float] = field(default_factory=dict)
    refer_below: float = 0.0
    coverage: float = 0.9

    def save(self, folder: Path) -> None:
        """Keep them with the run."""
        write_json(folder / FILE, asdict(self))


def load_wishes(folder: Path) -> Wishes:
    """Return what was decided for a run; the plain choice where nothing was; UserError where that is damaged.

    Never the plain choice in the place of thresholds that somebody set: with those a class is missed less often.
    """
    if not (folder / FILE).exists():
        return Wishes()
    message = f"What was decided for this run is damaged ({folder / FILE}): choose again on the page Decide."
    with told_as(message):
        found = Wishes(**read_json(folder / FILE))
        for each in (*found.thresholds.values(), found.refer_below, found.coverage):
            if not 0 <= each <= 1:  # NaN neither
                raise ValueError(each)
    return found


@dataclass(frozen=True)
class Decision:
    """A rule from probabilities [n, classes] to what is said, fitted on `images` validation images.

    `set_threshold`: the calibrated probability from which a class is in the prediction set; 0 where there were too few
    images to promise the coverage. `shifted`: the images to come are of another domain than those it was fitted on, so
    that neither calibration nor coverage is promised.
    """

    classes: tuple[str, ...]
    wishes: Wishes
    temperature: float
    set_threshold: float
    images: int
    shifted: bool
    groups: int | None = None  # of the validation images, where those to come are of new groups

    @property
    def units(self) -> str:
        """What it was fitted on, in words."""
        if self.groups is not None:
            return f"{self.groups:,} validation group{'s' * (self.groups != 1)}"
        return f"{self.images:,} validation image{'s' * (self.images != 1)}"

    def calibrated(self, probabilities: npt.NDArray[np.floating[Any]]) -> Floats:
        """Return probabilities [n, classes] that mean what they say; the likeliest class stays the likeliest."""
        return apply_temperature(np.asarray(probabilities, np.float64), self.temperature)

    def said(self, calibrated: Floats) -> npt.NDArray[np.int64]:
        """Return the class said of each image [n].

        Of the classes that reach their threshold the one that exceeds it most, as a ratio; where none does, the
        likeliest of those without a threshold, or of all where every class has one.
        """
        return say(self.classes, self.wishes.thresholds, calibrated)

    def sets(self, calibrated: Floats) -> npt.NDArray[np.bool_]:
        """Return which classes are in the prediction set of each image [n, classes]; what is said always is."""
        inside = prediction_sets(self.set_threshold, calibrated)
        inside[np.arange(len(inside)), self.said(calibrated)] = True
        return inside

    def refers(self, calibrated: Floats) -> npt.NDArray[np.bool_]:
        """Return which images [n] go to a person, because what is said of them is not sure enough."""
        rows = np.arange(len(calibrated))
        return np.asarray(calibrated[rows, self.said(calibrated)] < self.wishes.refer_below)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def say(
    classes: tuple[str, ...], thresholds: Mapping[str, float], calibrated: Floats
) -> npt.NDArray[np.int64]:
    """Return the class said [n] under thresholds; see `Decision.said`."""
    limits = np.array([thresholds.get(name, np.inf) for name in classes])
    ratio = calibrated / limits  # 0 for a class without a threshold
    free = np.isinf(limits)
    rest = np.where(free, calibrated, -1.0) if free.any() else calibrated
    found = np.where((ratio >= 1).any(1), ratio.argmax(1), rest.argmax(1))
    return np.asarray(found, dtype=np.int64)


def fit_decision(cases: Cases, wishes: Wishes, *, shifted: bool, grouped: bool) -> Decision:
    """Return the rule of validation images and somebody's wishes; `grouped`: images to come are of new groups."""
    groups = [row.group or row.image for row in cases.rows] if grouped else None
    temperature = fit_temperature(cases.probabilities, cases.truth)
    rule = fit_conformal(
        apply_temperature(cases.probabilities, temperature), cases.truth, wishes.coverage, groups
    )
    units = rule.units if grouped else None
    return Decision(cases.classes, wishes, temperature, rule.threshold, len(cases.truth), shifted, units)
