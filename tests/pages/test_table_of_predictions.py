"""The table of predictions and the pages speak of the same probabilities: calibrated ones."""

from __future__ import annotations

import csv
import io
import re

import numpy as np

from tests.pages.screens import Study, show
from transfer_core.evaluation.decision import Wishes
from transfer_core.evaluation.report import write_csv


def test_a_threshold_counts_the_same_in_the_table_and_on_the_page(study: Study) -> None:
    study.drawn = True
    run = study.ended()
    report, plain_ = study.lab.report(run), study.lab.decision(run)
    name = study.manifest.classes[1]
    test = [part == "test" for part in report.parts]
    limit = float(
        np.sort(plain_.calibrated(report.probabilities)[test][:, 1])[len(np.flatnonzero(test)) // 2]
    )
    Wishes({name: limit}).save(study.store.folder(run.id))  # an image lies right on it
    out = io.StringIO()
    write_csv(report, study.lab.decision(run), out)
    rows = [row for row in csv.DictReader(io.StringIO(out.getvalue())) if row["split"] == "test"]

    def count(column: str) -> tuple[int, int]:
        said = [float(row[column]) >= limit for row in rows]
        is_it = [row["label"] == name for row in rows]
        missed = sum(is_ and not says for is_, says in zip(is_it, said, strict=True))
        return missed, sum(says and not is_ for is_, says in zip(is_it, said, strict=True))

    assert plain_.temperature != 1
    assert count(name) != count(f"uncalibrated {name}")
    missed, alarms = (1000 * each / len(rows) for each in count(name))
    at = show("results/decide.py", run=run.id)
    unseen = next(each.value for each in at.markdown if "Choosing anew after reading this" in each.value)
    assert f"**{missed:.0f} missed**" in unseen
    assert f"**{alarms:.0f} false alarms**" in unseen
    opened = show("results/report.py", run=run.id)
    shown = [
        float(each) for text in opened.caption for each in re.findall(r"said [^(]*\(([\d.]+) %\)", text.value)
    ]
    wrong = [
        row for row in rows if max(study.manifest.classes, key=lambda each: float(row[each])) != row["label"]
    ]
    sure = [max(float(row[each]) for each in study.manifest.classes) for row in wrong]
    assert sorted(shown) == sorted(float(f"{100 * each:.0f}") for each in sure)
