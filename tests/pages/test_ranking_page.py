"""The report's curves: shown on demand, with the areas that the predictions have."""

from __future__ import annotations

import re

from sklearn.metrics import average_precision_score, roc_auc_score

from tests.pages.screens import Study, show, widget, words


def test_areas_are_those_of_the_predictions(study: Study) -> None:
    run = study.ended(wrong=3)
    at = show("results/report.py", run=run.id)
    assert "Area under the ROC curve" not in words(at)
    at.session_state["ranking"] = True
    at.run()
    name = widget(at.selectbox, "Class").value
    report = study.lab.report(run)
    rows = [
        (row.label == name, float(p[report.manifest.classes.index(name)]))
        for row, _, p in report.rows("test")
    ]
    truth, scores = zip(*rows, strict=True)
    shown = [float(each) for each in re.findall(r"(?:ROC curve|verage precision)\W*(\d\.\d{3})", words(at))]
    wanted = [roc_auc_score(truth, scores), average_precision_score(truth, scores)]
    assert shown[-2:] == [round(each, 3) for each in wanted]
