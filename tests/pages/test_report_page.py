"""The Report page: how often it is right, first; then the mistakes, and the images behind them."""

from __future__ import annotations

from sample_data.shapes import draw_shapes
from tests.pages.screens import Study, bring, show, words


def test_a_report_says_what_was_not_as_usual(study: Study) -> None:
    usual = study.ended(strategy="fine_tuning")
    other = study.ended(strategy="fine_tuning", size=256, knobs={"label_smoothing": 0.2})
    assert "images of 224 pixels" in words(show("results/report.py", run=usual.id))
    told = words(show("results/report.py", run=other.id))
    assert "images of 256 pixels" in told
    assert "label smoothing 0\\.2" in told


def test_the_report_says_first_how_often_it_is_right(study: Study) -> None:
    run = study.ended(wrong=3)
    n = run.result["test"]["n"] if run.result else 0
    at = show("results/report.py", run=run.id)
    assert f"of {n} unseen images" in words(at)
    assert "95 % interval" in words(at)
    assert "single images, drawn at random" in words(at)


def test_a_cell_of_the_confusion_opens_its_images(study: Study) -> None:
    run = study.ended(wrong=3)
    at = show("results/report.py", run=run.id)
    cells = [each for each in at.button if (each.key or "").startswith(f"open-{run.id}-")]
    assert len(cells) == 9
    wrong = next(
        each for each in cells if not each.disabled and each.key.split("-")[2] != each.key.split("-")[3]
    )
    wrong.click().run()
    assert f"{int(wrong.label)} image" in words(at)
    assert "(90 %)" in words(at)


def test_no_mistakes_is_said(study: Study) -> None:
    run = study.ended(wrong=0)
    assert "None on the unseen images" in words(show("results/report.py", run=run.id))


def test_many_classes_have_a_heat_map(empty: Study) -> None:
    bring(empty.home, draw_shapes(120, seed=1, size=32), "Many")
    run = empty.ended(wrong=5)
    at = show("results/report.py", run=run.id)
    assert not [each for each in at.button if (each.key or "").startswith("open-")]
    assert any('"type":"heatmap"' in each.proto.spec for each in at.get("plotly_chart"))
