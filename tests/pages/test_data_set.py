"""A data set on the Data page: renamed, filtered, deleted with all that hangs on it."""

from __future__ import annotations

import json
import re

import pytest

from sample_data.shapes import draw_shapes
from tests.pages.screens import CALLS_OUT, Study, bring, button, show, widget, words
from transfer_core.data.edit import set_groups
from transfer_core.data.library import Library

OPEN = {"keep-house": True}


def test_a_data_set_is_renamed(study: Study) -> None:
    at = show("study/data.py", OPEN)
    widget(at.text_input, "Name").set_value("Better").run()
    button(at, "Rename").click().run()
    assert at.title[0].value == "Better"
    assert study.library.datasets()[0].name == "Better"


@pytest.mark.parametrize("shared", [False, True])
def test_the_page_and_the_receipt_say_what_goes(study: Study, shared: bool) -> None:
    run = study.ended(name="mine")
    if shared:  # another version has the same images
        row = study.manifest.rows[0]
        study.library.add_version(set_groups(study.manifest, {row.image: "one"}), "a group")
    before = study.images()
    at = show("study/data.py", OPEN, data=run.manifest, run=run.id)
    (told,) = set(re.findall(r"removes for good: (.*)\.$", words(at), re.MULTILINE))
    widget(at.checkbox, "I want to delete all of this").check().run()
    button(at, "Delete the data set").click().run()
    assert not at.exception
    assert told in at.success[0].value  # letter by letter
    assert f"1 run, {len(before - study.images())} images" in told
    assert ("60 images stay" in told) == shared
    assert len(study.images()) == 60 * shared
    assert not study.store.runs()


def test_what_would_go_is_weighed_when_somebody_asks(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not each time the page is drawn: all manifests are read for it."""
    weighed, held = [], Library.held
    monkeypatch.setattr(Library, "held", lambda self, which: weighed.append(which) or held(self, which))
    at = show("study/data.py")
    for name in ("disc-solid", "all"):
        widget(at.selectbox, "Class").select(name).run()
    assert weighed == []
    at = show("study/data.py", OPEN, at=at)
    for name in ("disc-solid", "all"):
        widget(at.selectbox, "Class").select(name).run()
    assert len(weighed) == 1
    study.ended(name="mine")
    at.run()
    assert "removes for good: 1 run, 60 images" in words(at)
    widget(at.checkbox, "I want to delete all of this").check().run()
    assert len(weighed) == 3


def test_a_data_set_in_use_is_not_deleted(study: Study) -> None:
    study.running()
    at = show("study/data.py", OPEN)
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
