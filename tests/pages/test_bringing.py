"""The way in, step by step: which set is which, what a table is taken for, what is kept of persons, what is told."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from pages.ui.text import distinct
from tests.pages.bringing import brought, opened, picture, png, wait, webp
from tests.pages.screens import Study, button, link_of, marked_up, show, widget, words
from transfer_core.data.alike import get_alike
from transfer_core.data.edit import exclude
from transfer_core.data.health import measure_all
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.manifest import Manifest, Problem


def store(study: Study, files: dict[str, bytes], name: str = "Cells", **about: str) -> Manifest:
    """A data set whose classes are the first folders, looked at."""
    candidates = [
        Candidate(path, partial(bytes, data), path.split("/")[0], **about) for path, data in files.items()
    ]
    manifest, _ = ingest(candidates, name, study.library)
    measure_all(study.library, manifest)
    get_alike(study.library, manifest)
    return manifest


def cells(*numbers: int) -> dict[str, bytes]:
    return {f"{'ab'[n % 2]}/{n:02d}.png": png(picture(n)) for n in numbers}


def test_two_sets_of_one_name_are_two_in_the_picker(empty: Study) -> None:
    """Homes of before may have them, and a user may call two the same."""
    first, second = store(empty, cells(*range(12))), store(empty, cells(*range(20, 32)))
    empty.library.rename(second.id, "Cells")
    for wanted, other in ((first, second), (second, first)):
        at = show("study/data.py", data=wanted.id)
        at.run()
        assert link_of(at, "data") == wanted.id
        options = widget(at.selectbox, "Data set").options
        assert len(set(options)) == 2
        widget(at.selectbox, "Data set").set_value(other.id).run()
        assert link_of(at, "data") == other.id
        assert opened(empty, at) == empty.library.get(other.id)
    at = show("study/home.py")
    assert all(each.id[:8] in words(at) for each in (first, second))


def test_two_runs_of_one_name_are_two_in_the_picker(study: Study) -> None:
    one, other = study.ended(name="same"), study.ended(name="same")
    at = show("results/report.py", data=one.manifest, run=one.id)
    assert len(set(widget(at.selectbox, "Run").options)) == 2
    widget(at.selectbox, "Run").set_value(other.id).run()
    assert link_of(at, "run") == other.id


def test_names_that_differ_stay_as_they_are() -> None:
    assert distinct({"1": "a", "2": "b"}) == {"1": "a", "2": "b"}
    assert len(set(distinct({"1": "a", "2": "a", "3": "a · 1"}).values())) == 3


def test_a_change_after_going_back_opens_the_new_version(empty: Study) -> None:
    manifest = store(empty, cells(*range(12)))
    rows = manifest.rows
    second = empty.library.add_version(exclude(manifest, [rows[0].image]), "one")
    third = empty.library.add_version(exclude(second, [rows[1].image]), "two")
    other = empty.library.add_version(exclude(second, [rows[2].image]), "another")
    at = show("study/data.py", data=other.id)
    at.run()
    assert (link_of(at, "data"), at.title[0].value) == (other.id, "Cells, version 4")
    assert third.name == "Cells, version 3"


def test_the_same_images_again_are_said_to_be_here(empty: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"Scans/{path}": data for path, data in cells(*range(12)).items()}
    manifest = store(empty, files)
    renamed = {row.image: replace(row, label=row.path.split("/")[1]) for row in manifest.rows}
    known = empty.library.add(
        replace(manifest, name="Known", rows=tuple(renamed.values()), classes=("a", "b"))
    )
    at = show("study/home.py")
    brought(empty, at, monkeypatch, files)
    wait(at)
    assert opened(empty, at).id == known.id
    assert "Already here as Known" in words(at)
    assert len(empty.library.datasets()) == 2


def test_a_folder_of_this_machine_with_a_table_is_asked_about(
    empty: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shared" / "clinic"
    folder.mkdir(parents=True)
    rows = ["Datei;Befund;Patient;Name;Gerät;Seite"]
    for n in range(12):
        (folder / f"{n:02d}.png").write_bytes(png(picture(n)))
        rows.append(
            f"{n:02d}.png;{('krank', 'gesund')[n % 2]};P10{n // 2};Müller{n // 2};{'AB'[n // 6]};{'lr'[n // 3 % 2]}"
        )
    (folder / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    monkeypatch.setenv("TRANSFER_LAB_FOLDERS", str(tmp_path / "shared"))
    at = show("study/home.py")
    widget(at.selectbox, "Or a folder on this machine").set_value(folder).run()
    button(at, "Read it").click().run()
    at.switch_page("study/data.py").run()
    assert "What do the labels say?" in at.title[0].value
    assert not empty.library.datasets()
    at = show("study/data.py", upload=link_of(at, "upload"))  # a refresh: only the link is left
    meant = {
        name: widget(at.selectbox, name).value for name in ("File names", "Classes", "Groups", "Domains")
    }
    assert meant == {"File names": "Datei", "Classes": "Befund", "Groups": "Patient", "Domains": "Gerät"}
    assert at.multiselect[0].value == ["Seite"]
    button(at, "Use this table").click().run()
    wait(at)
    found = empty.manifest
    assert found.class_counts == {"gesund": 6, "krank": 6}
    assert len(found.groups) == 6
    assert {frozenset(row.extra) for row in found.rows} == {frozenset({"Seite"})}
    kept = b"".join(path.read_bytes() for path in empty.home.rglob("*") if path.is_file())
    assert "Müller".encode() not in kept
    assert b"P10" not in kept
    assert (folder / "labels.csv").exists()
    assert not list((empty.home / "uploads").glob("*"))


def test_no_class_is_guessed_where_it_is_unclear(empty: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"Scans/{n:02d}.png": png(picture(n)) for n in range(12)}
    rows = [f"{n:02d}.png,{'xy'[n % 2]},{'uv'[n // 6]}" for n in range(12)]
    files["Scans/table.csv"] = "\n".join(["file,one,two", *rows]).encode()
    at = show("study/home.py")
    brought(empty, at, monkeypatch, files)
    assert widget(at.selectbox, "Classes").value is None
    assert button(at, "Use this table").disabled
    widget(at.selectbox, "Classes").set_value("two").run()
    assert "get a class: u 6, v 6" in words(at)
    widget(at.selectbox, "Domains").set_value("two").run()
    assert "two is given twice" in marked_up(at)
    assert button(at, "Use this table").disabled


def test_one_image_under_two_labels_is_shown_and_can_be_settled(empty: Study, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    files = cells(*range(12))
    manifest = store(empty, files | {"b/again.png": files["a/00.png"]})
    at = show("study/data.py", data=manifest.id)
    (finding,) = [each for each in at.expander if "Same image, two labels" in each.label]
    assert "00\\.png as a and as b" in finding.label
    assert [each.value for each in finding.caption] == ["a or b? · 00\\.png"]
    button(at, "Set the labels right below").click().run()
    assert "1 image" in [each.value for each in at.caption]
    assert not [each for each in at.metric if each.label == "Problems" and each.value != "0"]


def test_folders_that_are_the_classes_are_no_groups(empty: Study) -> None:
    manifest = store(empty, {f"{'ab'[n % 2]}/p{n // 3}_{n}.png": png(picture(n)) for n in range(12)})
    at = show("study/data.py", data=manifest.id)
    at.session_state["groups"] = True
    at.run()
    told = widget(at.selectbox, "Told by")
    assert told.options == ["The file name up to the first _ or -", "A pattern of your own"]
    assert "4 groups of 3 to 3 images" in words(at)
    button(at, "Use these groups").click().run()
    assert empty.library.about(opened(empty, at).id).group_pattern


def test_the_split_names_the_cause(empty: Study) -> None:
    files = cells(*range(24)) | {"crack/1.png": png(picture(99))}
    at = show("study/split.py", data=store(empty, files).id)
    cause = "No image of crack in the validation part nor in the test part: the class has only 1 image."
    assert [each.value.replace("\\", "") for each in at.warning] == [cause]
    assert "another seed" not in words(at)
    grouped = store(empty, cells(*range(12)), group="one patient")
    at = show("study/split.py", data=grouped.id)
    assert at.radio[0].value == "group"
    assert "only one group" in at.error[0].value


def test_a_split_that_was_decided_on_is_taken_where_the_link_names_none(study: Study) -> None:
    split = study.library.decide(study.split(rule="image", seed=7))
    study.split(rule="image", seed=8)  # a study's, on which nobody decided
    at = show("train/new_run.py", data=study.manifest.id)
    assert link_of(at, "split") == split.id
    assert "It is not yet decided" not in words(at)


def test_what_was_decided_last_holds_when_the_app_is_opened_again(study: Study) -> None:
    study.ended(name="before")
    at = show("study/split.py", data=study.manifest.id)
    at.radio[0].set_value("group").run()
    button(at, "Continue to training").click().run()
    at = show("train/new_run.py", data=study.manifest.id)
    assert study.library.get_split(study.manifest.id, link_of(at, "split")).rule == "group"
    study.ended(name="after")  # by image, and later
    at = show("train/new_run.py", data=study.manifest.id)
    assert study.library.get_split(study.manifest.id, link_of(at, "split")).rule == "image"


def test_the_gap_is_the_difference_of_what_is_shown(study: Study) -> None:
    at = show("study/split.py", data=study.manifest.id)
    button(at, "How much would a random split flatter?").click().run()
    for run in study.store.runs():
        rule = study.library.get_split(run.manifest, run.spec.split).rule
        study.finish(run, {"n": 20, "accuracy": 0.8434 if rule == "image" else 0.8066})
    at.run()
    assert "84.3 %" in words(at)
    assert "80.7 %" in words(at)
    assert "flatter by about 3.6 points" in words(at)  # and not by 3.7


def test_what_was_left_as_it_is_stays_so_in_the_next_version(empty: Study) -> None:
    files = cells(*range(12)) | {"a/black.png": png(picture(50) // 16)}
    manifest = store(empty, files)
    at = show("study/data.py", data=manifest.id)
    assert any("Almost black" in each.label for each in at.expander)
    button(at, "Leave as it is").click().run()
    later = empty.library.add_version(exclude(manifest, [manifest.rows[0].image]), "one left out")
    at = show("study/data.py", data=later.id)
    assert not any("Almost black" in each.label for each in at.expander)
    assert button(at, "Show 1 finding left as it is")


def test_copies_of_an_image_stand_together_and_keeping_one_comes_first(empty: Study) -> None:
    files = cells(*range(12))
    again = {f"a/{n:02d} again.webp": webp(picture(n)) for n in (0, 2)}
    at = show("study/data.py", data=store(empty, files | again).id)
    (finding,) = [each for each in at.expander if "Same image twice" in each.label]
    assert [each.label for each in finding.button][:2] == [
        "Keep one of each, leave 2 out",
        "Leave these 4 out",
    ]
    captions = [each.value for each in finding.caption]
    assert ["00" in each for each in captions] == [True, True, False, False]


def test_notes_are_apart_from_what_is_broken(empty: Study) -> None:
    manifest = store(empty, cells(*range(12)))
    problems = [Problem("torn.png", "damaged", "it is torn")]
    problems += [Problem(f"{n}.png", "duplicate", "the same image") for n in range(20)]
    problems += [Problem("a", "small-class", "few")]
    problems += [
        Problem("notes.txt", "wrong-type", "not an image"),
        Problem("a/web.png", "wrong-type", "not an image"),
    ]
    empty.library.add(manifest, problems)
    at = show("study/data.py", data=manifest.id)
    assert [each.value for each in at.metric if each.label == "Problems"] == ["2"]
    assert "Good to know (21 notes)" in words(at)
    assert "21 rows: scroll" in words(at)


def test_once_there_is_data_ones_own_images_are_the_main_way(empty: Study, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    assert button(show("study/data.py"), "Try it on solar cells").proto.type == "primary"
    at = show("study/data.py", data=store(empty, cells(*range(12))).id)
    assert button(at, "Try it on solar cells").proto.type == "secondary"
