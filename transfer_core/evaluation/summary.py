"""Everything a report tells, as plain data: for the pages, the command line, the model card and whoever reads it by program."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from transfer_core.evaluation.calibrate import reliability
from transfer_core.evaluation.cases import Cases, make_cases, metrics_of_domains
from transfer_core.evaluation.decision import Decision
from transfer_core.evaluation.in_use import measure, rule_words
from transfer_core.evaluation.operating import consequences
from transfer_core.evaluation.ranking import Curves, make_curves
from transfer_core.evaluation.report import Report
from transfer_core.evaluation.shares import share_of


def summarise(report: Report, decision: Decision) -> dict[str, Any]:
    """Return the figures of the test images: all, by class, domain and group, of ranking, calibration and decision.

    Areas that cannot be told, because there are images of one side only, are None.
    """
    cases = make_cases(report)
    data: dict[str, Any] = {
        "test": report.metrics().to_json(),
        "in_use": tell_use(decision, cases, grouped=report.grouped),
    }
    if not len(cases.truth):
        return data
    groups = _groups(cases, grouped=report.grouped)
    calibrated = decision.calibrated(cases.probabilities)
    return data | {
        "ranking": _ranking(cases, decision, grouped=report.grouped),
        "domains": tell_domains(report, cases),
        "groups": [asdict(part) for part in cases.by("group")],
        "calibration": tell_calibration(decision, cases),
        "sets": tell_sets(decision, cases, grouped=report.grouped),
        "decision": {
            "thresholds": dict(decision.wishes.thresholds), "refer_below": decision.wishes.refer_below,
            "fitted_on": decision.images,
            "consequences": {
                name: asdict(consequences(decision, calibrated, cases.truth, number, groups))
                for number, name in enumerate(cases.classes) if (cases.truth == number).any()
            },
        },
    }  # fmt: skip


def tell_domains(report: Report, cases: Cases) -> dict[str, dict[str, Any]]:
    """Return the figures of each domain's images, in the order of their names; empty where they name none."""
    return {name: each.to_json() for name, each in metrics_of_domains(report, cases).items()}


def tell_use(decision: Decision, cases: Cases, *, grouped: bool) -> dict[str, Any] | None:
    """Return how often a run is right with the decision in use; None where none was taken, or without labels."""
    found = measure(decision, cases, grouped=grouped)
    return {"words": rule_words(decision.wishes)} | found.to_json() if found else None


def tell_calibration(decision: Decision, cases: Cases) -> dict[str, float]:
    """Return the temperature, and the expected calibration error without and with it."""
    calibrated = decision.calibrated(cases.probabilities)
    return {
        "temperature": decision.temperature,
        "error_before": reliability(cases.probabilities, cases.truth).error,
        "error_after": reliability(calibrated, cases.truth).error,
    }


def tell_sets(decision: Decision, cases: Cases, *, grouped: bool) -> dict[str, Any]:
    """Return how often prediction sets hold the true class of labelled images, and how large they are."""
    sets = decision.sets(decision.calibrated(cases.probabilities))
    holds = share_of(sets[np.arange(len(sets)), cases.truth], _groups(cases, grouped=grouped))
    return {
        "asked": decision.wishes.coverage, "threshold": decision.set_threshold, "held": holds.count / len(sets),
        "held_ci": holds.interval, "mean_size": float(sets.sum(1).mean()), "shifted": decision.shifted,
    }  # fmt: skip


def curves_of(cases: Cases, decision: Decision, name: str, *, grouped: bool) -> Curves:
    """Return how well calibrated probabilities put a class before the others; `grouped`: whole groups are drawn."""
    number = cases.classes.index(name)
    calibrated = decision.calibrated(cases.probabilities)[:, number]
    return make_curves(calibrated, cases.truth == number, _groups(cases, grouped=grouped))


def _groups(cases: Cases, *, grouped: bool) -> list[str] | None:
    return [row.group or row.image for row in cases.rows] if grouped else None


def _ranking(cases: Cases, decision: Decision, *, grouped: bool) -> dict[str, dict[str, Any]]:
    found = {}
    for name in cases.classes:
        curves = curves_of(cases, decision, name, grouped=grouped)
        known = not math.isnan(curves.roc_area)
        found[name] = {
            "roc_area": curves.roc_area if known else None,
            "roc_area_ci": _shown(curves.roc_area_ci) if known else None,
            "average_precision": curves.average_precision if known else None,
            "average_precision_ci": _shown(curves.average_precision_ci) if known else None,
        }
    return found


def _shown(ends: tuple[float, float]) -> tuple[float, float] | None:
    return ends if ends[0] < ends[1] else None
