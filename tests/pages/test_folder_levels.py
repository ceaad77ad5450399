"""Folders that could mean several things are asked about before anything is read, with what would come of each answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pages.bringing import brought, picture, png, wait
from tests.pages.screens import Study, button, link_of, marked_up, show, widget, words

FILES = {f"Scans/{n // 4 + 2000}/{'01'[n % 2]}/{n}.png": png(picture(n)) for n in range(16)}


def test_the_levels_are_asked_shown_and_taken(empty: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    at = show("study/home.py")
    brought(empty, at, monkeypatch, FILES)
    assert "What do the folders say?" in at.title[0].value
    assert not empty.library.datasets()
    at = show("study/data.py", upload=link_of(at, "upload"))  # a refresh: only the link is left
    assert [widget(at.selectbox, f"Level {n} is").value for n in (1, 2)] == ["group", "class"]
    assert "**2 classes**: 0 8, 1 8." in words(at)
    assert "**4 groups**, 4 with several images" in words(at)
    widget(at.selectbox, "Level 1 is").set_value("class").run()
    assert "**8 classes**" in words(at)
    widget(at.selectbox, "Level 2 is").set_value("split").run()
    assert "needs train, val or test" in marked_up(at)
    assert button(at, "Read it so").disabled
    widget(at.selectbox, "Level 1 is").set_value("group")
    widget(at.selectbox, "Level 2 is").set_value("class").run()
    button(at, "Read it so").click().run()
    wait(at)
    assert empty.manifest.class_counts == {"0": 8, "1": 8}
    assert set(empty.manifest.groups) == {empty.library.pseudonym(str(2000 + n)) for n in range(4)}
    assert not list((empty.home / "uploads").glob("*"))


def test_a_folder_of_this_machine_is_asked_about_too_and_a_table_ignored_leads_to_the_question(
    empty: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shared" / "scans"
    for path, data in (FILES | {"Scans/notes.csv": b"what,when\nx,y\n"}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    monkeypatch.setenv("TRANSFER_LAB_FOLDERS", str(tmp_path / "shared"))
    at = show("study/home.py")
    widget(at.selectbox, "Or a folder on this machine").set_value(folder).run()
    button(at, "Read it").click().run()
    at.switch_page("study/data.py").run()
    button(at, "Ignore the table").click().run()
    assert "What do the folders say?" in at.title[0].value
    button(at, "Read it so").click().run()
    wait(at)
    assert (empty.manifest.class_counts, len(empty.manifest.groups)) == ({"0": 8, "1": 8}, 4)
    assert folder.exists()
