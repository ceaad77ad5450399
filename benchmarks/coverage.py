"""Do prediction sets hold the true class as often as asked, on images of real runs that nothing was fitted on?

    uv run python benchmarks/coverage.py [RUN ...]

Each run is a finished one under TRANSFER_LAB_HOME whose validation and test images are alike (split by image). They are
pooled and divided anew, many times: fitted on as many as the run had for validation, measured on the others.
"""

from __future__ import annotations

import sys

import numpy as np
from common import Check, finish

from transfer_core.evaluation.calibrate import apply_temperature, fit_temperature, reliability
from transfer_core.evaluation.cases import make_cases
from transfer_core.evaluation.conformal import fit_conformal, prediction_sets
from transfer_core.files import get_home
from transfer_core.runs.lab import Lab

TIMES = 500
ASKED = (0.9, 0.95, 0.99)  # above the accuracy: the likeliest class is always in a set, so less cannot be had


def measure(lab: Lab, ref: str) -> list[dict[str, object]]:
    """The rows of one run: a row for each coverage."""
    run = lab.store.find(ref)
    report = lab.report(run)
    parts = [make_cases(report, part) for part in ("val", "test")]
    chances, truth = (
        np.concatenate([getattr(each, name) for each in parts]) for name in ("probabilities", "truth")
    )
    rng, n = np.random.default_rng(0), len(parts[0].truth)
    held: dict[float, list[float]] = {asked: [] for asked in ASKED}
    sizes: dict[float, list[float]] = {asked: [] for asked in ASKED}
    errors = []
    for _ in range(TIMES):
        order = rng.permutation(len(truth))
        own, rest = order[:n], order[n:]
        temperature = fit_temperature(chances[own], truth[own])
        calm = apply_temperature(chances, temperature)
        assert (calm.argmax(1) == chances.argmax(1)).all()
        errors.append([reliability(each[rest], truth[rest]).error for each in (chances, calm)])
        for asked in ASKED:
            sets = prediction_sets(fit_conformal(calm[own], truth[own], asked).threshold, calm[rest])
            held[asked].append(float(sets[np.arange(len(rest)), truth[rest]].mean()))
            sizes[asked].append(float(sets.sum(1).mean()))
    before, after = np.mean(errors, axis=0)
    return [
        {"run": run.name, "fitted on": n, "measured on": len(truth) - n, "asked": asked, "held": float(np.mean(held[asked])),
         "classes": float(np.mean(sizes[asked])), "error before": float(before), "error after": float(after)}
        for asked in ASKED
    ]  # fmt: skip


def main() -> None:
    lab = Lab(get_home())
    runs = sys.argv[1:] or [
        run.id
        for run in lab.store.runs()
        if run.result and lab.library.get_split(run.manifest, run.spec.split).rule == "image"
    ]
    rows = [row for run in runs for row in measure(lab, run)]
    checks = [
        Check(f"{row['run']}, asked {row['asked']}: |held - asked|", abs(float(str(row["held"])) - float(str(row["asked"]))),
              0.02, at_least=False)
        for row in rows
    ]  # fmt: skip
    finish("coverage", rows, checks)


if __name__ == "__main__":
    main()
