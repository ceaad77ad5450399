"""A data set on the Data page: renamed, filtered, deleted with all that hangs on it."""

from __future__ import annotations

import json

from sample_data.shapes import draw_shapes
from tests.pages.screens import CALLS_OUT, Study, bring, button, show, widget, words


def test_a_data_set_is_renamed(study: Study) -> None:
    at = show("study/data.py")
    widget(at.text_input, "Name").set_value("Better").run()
    button(at, "Rename").click().run()
    assert at.title[0].value == "Better"
    assert study.library.datasets()[0].name == "Better"


def test_a_data_set_is_deleted_with_its_runs_and_a_receipt(study: Study) -> None:
    run = study.ended(name="mine")
    at = show("study/data.py", data=run.manifest, run=run.id)
    assert "60 images, 1 run" in words(at)
    widget(at.checkbox, "I want to delete all of this").check().run()
    button(at, "Delete the data set").click().run()
    assert not at.exception
    assert "1 run, 60 images" in at.success[0].value
    assert not study.library.datasets()
    assert not study.store.runs()
    assert not [path for path in (study.home / "images").rglob("*") if path.is_file()]


def test_a_data_set_in_use_is_not_deleted(study: Study) -> None:
    study.running()
    at = show("study/data.py")
    widget(at.checkbox, "I want to delete all of this").check().run()
    button(at, "Delete the data set").click().run()
    assert "stop it first" in at.error[0].value
    assert study.library.datasets()


def test_the_gallery_is_filtered(study: Study) -> None:
    at = show("study/data.py")
    widget(at.selectbox, "Class").select("disc-solid").run()
    assert "20 images" in words(at)
    widget(at.selectbox, "Domain").select("clean").run()
    assert "10 images" in words(at)


def test_problems_of_the_upload_are_listed(empty: Study) -> None:
    manifest = bring(empty.home, draw_shapes(24, size=32, classes=("disc-solid", "star-dotted")))
    path = empty.library.folder / manifest.id / "about.json"
    about = json.loads(path.read_text())
    about["problems"] = [{"file": CALLS_OUT, "kind": "damaged", "message": "the file ends too early"}]
    path.write_text(json.dumps(about))
    at = show("study/data.py")
    assert at.metric[4].value == "1"
    assert list(at.dataframe[0].value["File"]) == [CALLS_OUT]
