"""Everything a report tells, as plain data: for the command line and for whoever reads it by program."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from transfer_core.evaluation.calibrate import reliability
from transfer_core.evaluation.cases import Cases, make_cases, metrics_of_domains
from transfer_core.evaluation.decision import Decision
from transfer_core.evaluation.operating import consequences
from transfer_core.evaluation.ranking import make_curves
from transfer_core.evaluation.report import Report
from transfer_core.evaluation.shares import share_of


def summarise(report: Report, decision: Decision) -> dict[str, Any]:
    """Return the figures of the test images: all, by class, domain and group, of ranking, calibration and decision.

    Areas that cannot be told, because there are images of one side only, are None.
    """
    cases = make_cases(report)
    data: dict[str, Any] = {"test": report.metrics().to_json()}
    if not len(cases.truth):
        return data
    groups = [row.group or row.image for row in cases.rows] if report.grouped else None
    calibrated = decision.calibrated(cases.probabilities)
    sets = decision.sets(calibrated)
    holds = share_of(sets[np.arange(len(sets)), cases.truth], groups)
    return data | {
        "ranking": _ranking(cases, groups),
        "domains": {name: each.to_json() for name, each in metrics_of_domains(report, cases).items()},
        "groups": [asdict(part) for part in cases.by("group")],
        "calibration": {
            "temperature": decision.temperature,
            "error_before": reliability(cases.probabilities, cases.truth).error,
            "error_after": reliability(calibrated, cases.truth).error,
        },
        "sets": {
            "asked": decision.wishes.coverage, "threshold": decision.set_threshold, "held": holds.count / len(sets),
            "held_ci": holds.interval, "mean_size": float(sets.sum(1).mean()), "shifted": decision.shifted,
        },
        "decision": {
            "thresholds": dict(decision.wishes.thresholds), "refer_below": decision.wishes.refer_below,
            "fitted_on": decision.images,
            "consequences": {
                name: asdict(consequences(decision, calibrated, cases.truth, number, groups))
                for number, name in enumerate(cases.classes) if (cases.truth == number).any()
            },
        },
    }  # fmt: skip


def _ranking(cases: Cases, groups: list[str] | None) -> dict[str, dict[str, Any]]:
    found = {}
    for number, name in enumerate(cases.classes):
        curves = make_curves(cases.probabilities[:, number], cases.truth == number, groups)
        known = not math.isnan(curves.roc_area)
        found[name] = {
            "roc_area": curves.roc_area if known else None,
            "roc_area_ci": curves.roc_area_ci if known else None,
            "average_precision": curves.average_precision if known else None,
            "average_precision_ci": curves.average_precision_ci if known else None,
        }
    return found
