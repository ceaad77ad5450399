"""A click means what stood there when it was made, not what has taken its place since."""

from __future__ import annotations

import pytest

from pages.ui import images
from pages.ui.text import escape
from sample_data.shapes import draw_shapes
from tests.pages.screens import Study, bring, button, show, tick, widget, words
from transfer_core.data.health import get_findings
from transfer_core.data.manifest import Manifest
from transfer_core.runs.answers import Answer
from transfer_core.runs.prediction_jobs import PredictionJobs


def test_the_run_that_is_ticked_stays_wherever_it_lies(study: Study) -> None:
    study.ended(name="alpha")
    beta = study.ended(name="beta")
    study.ended(name="gamma")
    at = tick(show("results/runs.py"), 1)
    name = widget(at.text_input, "Name")
    assert name.value == "beta"
    study.ended(name="delta")
    at.run()
    assert widget(at.text_input, "Name").value == "beta"
    widget(at.text_input, "Filter").set_value("ta").run()
    assert list(at.dataframe[0].value["Run"]) == ["delta", "beta"]
    assert widget(at.text_input, "Name").value == "beta"
    widget(at.text_input, "Name").set_value("zeta")
    button(at, "Save name and note").click().run()
    assert study.store.get(beta.id).name == "zeta"
    assert widget(at.text_input, "Name").value == "zeta"
    at.checkbox[0].check().run()
    widget(at.text_input, "Filter").set_value("delta").run()
    assert not [each for each in at.button if each.label == "Delete the run"]
    widget(at.text_input, "Filter").set_value("").run()
    assert widget(at.text_input, "Name").value == "zeta"
    button(at, "Delete the run").click().run()
    assert {each.name for each in study.store.runs()} == {"alpha", "gamma", "delta"}
    assert not [each for each in at.button if each.label == "Delete the run"]


def test_the_prediction_that_is_ticked_stays_in_another_order(study: Study) -> None:
    run = study.ended()
    # The first five lie where they lay in both orders: only those after them change places.
    sure = [0.999, 0.998, 0.997, 0.996, 0.995, *[0.6 + 0.01 * k for k in range(12)]]
    answers = [Answer(k, f"{k:02d}.png", (p, 1 - p, 0.0), 0.5) for k, p in enumerate(sure)]
    study.predicted(run, answers)
    at = tick(show("results/predict.py", run=run.id), 6)
    assert f":gray[{escape('06.png')}]" in words(at)
    widget(at.selectbox, "Order").set_value("surest first").run()
    assert list(at.dataframe[0].value["File"])[6] == "15.png"
    assert f":gray[{escape('06.png')}]" in words(at)


def test_a_changed_label_stays_with_its_image(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "PER_TABLE", 5)
    at = show("study/data.py", data=study.manifest.id)
    widget(at.toggle, "Change labels").set_value(True).run()
    at.session_state[at.dataframe[0].key] = {
        "edited_rows": {0: {"Leave out": True}},
        "added_rows": [],
        "deleted_rows": [],
    }
    at.run()
    assert "1 image left out: not saved yet." in words(at)
    widget(at.text_input, "A class that is not in the list yet").set_value("other").run()
    assert "1 image left out: not saved yet." in words(at)  # what was changed before a class was named
    file = at.dataframe[0].value["File"][0]
    button(at, "Save as a new version").click().run()
    (newest, *_) = study.library.datasets()
    assert {row.path for row in study.manifest.rows} ^ {
        row.path for row in study.library.get(newest.id).rows
    } <= {file}


def test_a_finding_that_another_window_let_go_is_not_followed_by_the_next(
    empty: Study, manifest: Manifest
) -> None:
    at = show("study/data.py", data=manifest.id)
    first = next(each for each in at.button if each.label.startswith("Leave"))
    empty.library.dismiss(manifest.id, get_findings(empty.library, manifest)[0].kind)
    first.click().run()
    assert [each.id for each in empty.library.datasets()] == [manifest.id]


def test_what_was_said_of_one_data_set_is_not_said_of_another(study: Study) -> None:
    other = bring(study.home, draw_shapes(24, seed=9, size=32), "Others")
    at = show("study/data.py", {"keep-house": True}, data=other.id)
    widget(at.checkbox, "I want to delete all of this").check().run()
    widget(at.selectbox, "Data set").select(study.library.datasets()[-1].id).run()
    assert at.title[0].value == "Shapes"
    assert not widget(at.checkbox, "I want to delete all of this").value
    assert button(at, "Delete the data set").disabled


def test_predictions_that_another_window_deleted_are_not_followed_by_the_next(study: Study) -> None:
    run = study.ended()
    answers = [Answer(0, "one.png", (0.9, 0.06, 0.04), 0.4)]
    kept, gone = (study.predicted(run, answers, name="same") for _ in range(2))
    at = show("results/predict.py", run=run.id, job=gone.id)
    next(each for each in at.checkbox if each.label.startswith("Delete these")).check().run()
    jobs = PredictionJobs(study.home)
    jobs.delete(gone.id)
    next(each for each in at.button if each.label == "Delete the predictions").click().run()
    assert [each.id for each in jobs.jobs()] == [kept.id]


def test_names_of_persons_are_allowed_for_one_run_only(study: Study) -> None:
    first, second = study.ended(name="first"), study.ended(name="second")
    at = show("results/take_home.py", run=first.id)
    label = "Keep file and group names in the table of predictions"
    widget(at.toggle, label).set_value(True).run()
    widget(at.selectbox, "Run").select(second.id).run()
    assert not widget(at.toggle, label).value
