"""What a report offers to ask of the data: nothing before somebody asks, then pictures, words and a way to change labels."""

from __future__ import annotations

from tests.pages.screens import Study, labels, show, words
from transfer_core.runs.studies import keep_study


def test_nothing_is_computed_before_somebody_asks(study: Study) -> None:
    run = study.ended()
    at = show("results/report.py", {"doubts": True, "more": True}, run=run.id)
    assert "confident learning" in words(at)
    assert {"Look for doubtful labels", "Measure the learning curve"} <= set(labels(at))


def test_doubtful_labels_stand_in_a_table_to_be_changed(study: Study) -> None:
    run = study.ended()
    doubted = study.manifest.rows[0]
    other = next(name for name in study.manifest.classes if name != doubted.label)
    suspects = [{"image": doubted.image, "instead": other, "margin": -0.8}]
    keep_study(study.store.folder(run.id), "labels", {"n": 60, "suspects": suspects})
    at = show("results/report.py", {"doubts": True}, run=run.id)
    assert "1 label of 60 looks doubtful" in words(at)
    assert "Save as a new version" in labels(at)


def test_where_no_label_is_doubtful_it_says_so(study: Study) -> None:
    run = study.ended()
    keep_study(study.store.folder(run.id), "labels", {"n": 60, "suspects": []})
    assert "None of 60 labelled images looks wrongly labelled" in words(
        show("results/report.py", {"doubts": True}, run=run.id)
    )


def test_the_curve_is_told_in_words(study: Study) -> None:
    run = study.ended()
    found = {
        "n": 45, "groups": 6, "sizes": [10, 20, 40], "mean": [0.6, 0.7, 0.75], "lowest": [0.5, 0.6, 0.7],
        "highest": [0.7, 0.8, 0.8], "repeats": 10,
        "ahead": {"sizes": [40, 60, 80, 160], "mean": [0.75, 0.76, 0.77, 0.78], "low": [0.76] * 4, "high": [0.8] * 4},
    }  # fmt: skip
    keep_study(study.store.folder(run.id), "curve", found)
    told = words(show("results/report.py", {"more": True}, run=run.id))
    assert "would help" in told
    assert "+2.0 points" in told
    assert "6 groups kept together" in told
    found["ahead"]["low"] = [0.7] * 4  # type: ignore[index]
    keep_study(study.store.folder(run.id), "curve", found)
    assert "may help" in words(show("results/report.py", {"more": True}, run=run.id))
    found["ahead"]["mean"] = [0.75, 0.75, 0.751, 0.751]  # type: ignore[index]
    keep_study(study.store.folder(run.id), "curve", found)
    assert "would hardly help" in words(show("results/report.py", {"more": True}, run=run.id))
