"""What came of images somebody asked about: a row each, and what a run's rule makes of the rows.

Rows hold what the model says; what follows from them (calibrated probability, class said, prediction set, who goes to a
person) is worked out when it is asked for, so that it keeps to what was decided for the run since.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from transfer_core.evaluation.decision import Decision
from transfer_core.evaluation.report import safe_cells
from transfer_core.evaluation.unknown import is_unknown

Floats = npt.NDArray[np.float64]
BETWEEN = " | "  # classes of a prediction set, in one cell


@dataclass(frozen=True)
class Answer:
    """What came of one picture. `number` is its file's place among those asked about.

    `probabilities` [classes], as the model gives them; `p_value`: the share of validation images that are as unlike the
    training images, None where that cannot be told. Of a file that could not be read, `problem` says why in a sentence.
    """

    number: int
    file: str
    probabilities: tuple[float, ...] = ()
    p_value: float | None = None
    problem: str = ""
    kind: str = ""  # of problem: a stable word for programs

    def to_json(self) -> dict[str, Any]:
        """Return plain data, as short as it goes: there may be many."""
        if self.problem:
            return {"n": self.number, "file": self.file, "problem": self.problem, "kind": self.kind}
        chances = [float(f"{each:.8g}") for each in self.probabilities]
        return {"n": self.number, "file": self.file, "p": chances, "seen": self.p_value}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Answer:
        """Return what `to_json` was made of."""
        chances = tuple(data.get("p", ()))
        problem, kind = data.get("problem", ""), data.get("kind", "")
        return Answer(data["n"], data["file"], chances, data.get("seen"), problem, kind)


@dataclass(frozen=True)
class Verdicts:
    """What follows from answers, in their order, for those that are of images: arrays [n] and [n, classes].

    `unknown` is None where it cannot be told. Who goes to a person: what is not said surely enough, and what is unlike
    the training images.
    """

    classes: tuple[str, ...]
    answers: tuple[Answer, ...]
    calibrated: Floats
    said: npt.NDArray[np.int64]
    sets: npt.NDArray[np.bool_]
    unknown: npt.NDArray[np.bool_] | None
    refer: npt.NDArray[np.bool_]

    @property
    def probability(self) -> Floats:
        """The calibrated probability [n] of the class that is said."""
        return np.asarray(self.calibrated[np.arange(len(self.said)), self.said], np.float64)

    def label(self, row: int) -> str:
        """Return the class said of an image."""
        return self.classes[int(self.said[row])]

    def set_of(self, row: int) -> list[str]:
        """Return the classes of an image's prediction set."""
        return [name for name, inside in zip(self.classes, self.sets[row], strict=True) if inside]

    def to_json(self, row: int) -> dict[str, Any]:
        """Return plain data on one image; `probabilities` are calibrated, `uncalibrated` as the model was trained."""
        answer = self.answers[row]
        return {
            "file": answer.file,
            "class": self.label(row),
            "probabilities": dict(zip(self.classes, self.calibrated[row].tolist(), strict=True)),
            "uncalibrated": dict(zip(self.classes, answer.probabilities, strict=True)),
            "set": self.set_of(row),
            "refer": bool(self.refer[row]),
            "unknown": None if self.unknown is None else bool(self.unknown[row]),
            "p_value": answer.p_value,
        }


def decide(answers: Sequence[Answer], decision: Decision, fitted_on: int) -> Verdicts:
    """Return what a run's rule makes of answers.

    `fitted_on`: how many validation images tell what is unlike the training images; 0 where that cannot be told.
    """
    good = tuple(each for each in answers if not each.problem)
    own = np.array([each.probabilities for each in good], np.float64).reshape(
        len(good), len(decision.classes)
    )
    calibrated = decision.calibrated(own) if len(good) else own
    unknown = None
    refer = decision.refers(calibrated)
    if fitted_on:
        p_values = np.array([np.nan if each.p_value is None else each.p_value for each in good], np.float64)
        unknown = is_unknown(p_values, fitted_on)
        refer = refer | unknown
    return Verdicts(
        decision.classes,
        good,
        calibrated,
        decision.said(calibrated),
        decision.sets(calibrated),
        unknown,
        refer,
    )


HEAD = ("file", "class", "probability", "set", "refer", "unknown")


def write_answers(out: TextIO, answers: Sequence[Answer], verdicts: Verdicts) -> None:
    """Write a row for each answer: file, class, what follows from it, every class's probability, the problem.

    All probabilities are calibrated; a file that could not be read has its problem and nothing else. Safe to open in a
    spreadsheet.
    """
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(safe_cells([*HEAD, *verdicts.classes, "problem"]))
    row = 0
    for each in answers:
        if each.problem:
            blank = [""] * (len(HEAD) - 1 + len(verdicts.classes))
            writer.writerow([*safe_cells([each.file]), *blank, *safe_cells([each.problem])])
            continue
        unknown = "" if verdicts.unknown is None else _yes(verdicts.unknown[row])
        cells = [
            verdicts.label(row),
            repr(float(verdicts.probability[row])),
            BETWEEN.join(verdicts.set_of(row)),
        ]
        chances = map(
            repr, verdicts.calibrated[row].tolist()
        )  # whole: whoever counts gets what the page counts
        writer.writerow([*safe_cells([each.file, *cells]), _yes(verdicts.refer[row]), unknown, *chances, ""])
        row += 1


def _yes(value: object) -> str:
    return "yes" if value else "no"
