"""What comes to the Data page: uploads with tables, groups told by names, more images, folders, frames, deep images."""

from __future__ import annotations

import io
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pages.ui import state
from tests.data.test_grouping import WAITING
from tests.pages.bringing import brought, opened, picture, png, wait
from tests.pages.screens import Study, button, link_of, marked_up, show, widget, words
from transfer_core.data import grouping
from transfer_core.data.alike import get_alike
from transfer_core.data.health import measure_all
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.manifest import Manifest
from transfer_core.files import write_json
from transfer_core.runs.intake import Arrival
from transfer_core.runs.unread import TRIES, mark_whole, set_aside
from transfer_core.runs.uploads import Upload, close_upload, make_token, open_upload, receive


def test_groups_are_told_by_the_file_names_and_shown_before(empty: Study) -> None:
    files = {f"{'ab'[n % 2]}/p{n // 3}_{n}.png": png(picture(n)) for n in range(12)}
    ingest(
        [Candidate(path, partial(bytes, data), path[0]) for path, data in files.items()],
        "Cells",
        empty.library,
    )
    at = show("study/data.py", data=empty.manifest.id)
    at.session_state["groups"] = True
    at.run()
    widget(at.selectbox, "Told by").set_value("The file name up to the first _ or -").run()
    assert "4 groups of 3 to 3 images" in words(at)
    assert "These groups are kept as you see them here, names of persons too" in words(at)
    button(at, "Use these groups").click().run()
    changed = opened(empty, at)
    assert changed.groups == {"p0": 3, "p1": 3, "p2": 3, "p3": 3}
    at.switch_page("study/split.py").run()
    assert at.radio[0].value == "group"


def test_a_pattern_that_is_none_or_does_not_end_is_told(
    empty: Study, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = show("study/data.py", data=manifest.id)
    at.session_state["groups"] = True
    at.run()
    widget(at.selectbox, "Told by").set_value("A pattern of your own").run()
    widget(at.text_input, "Regular expression; its first bracket is the group").set_value("(").run()
    assert "cannot be read at character 1" in marked_up(at)
    monkeypatch.setattr(grouping, "MATCHER", WAITING)
    monkeypatch.setattr(grouping, "LIMIT", 0.1)
    widget(at.text_input, "Regular expression; its first bracket is the group").set_value(r"(\w+)").run()
    assert "takes too long on these names" in marked_up(at)
    assert not at.exception


def test_a_table_that_came_with_the_images_is_shown_and_asked_about(
    empty: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"Scans/{n:02d}.png": png(picture(n)) for n in range(12)}
    rows = [f"{n:02d}.png;{'sound' if n % 2 else 'crack'};p{n // 4}" for n in range(11)]
    files["Scans/labels.csv"] = "\n".join(["image;finding;patient", *rows, "99.png;sound;p9"]).encode()
    at = show("study/home.py")
    brought(empty, at, monkeypatch, files)
    assert "**11 of 12 images** get a class: crack 6, sound 5" in words(at)
    assert "1 row for a file that was not brought: 99\\.png" in words(at)
    assert not empty.library.datasets()  # nothing was done yet
    at = show("study/data.py", upload=link_of(at, "upload"))  # a refresh: only the link is left
    assert "**11 of 12 images** get a class" in words(at)
    assert widget(at.selectbox, "Groups").value == "patient"
    assert "kept as a salted hash only" in words(at)
    button(at, "Use this table").click().run()
    wait(at)
    found = empty.manifest
    assert found.class_counts == {"crack": 6, "sound": 5}
    assert found.groups == {empty.library.pseudonym(f"p{n}"): 4 - n // 2 for n in range(3)}
    assert {each.kind for each in empty.library.about(found.id).problems} == {"missing", "not-in-table"}
    assert "A table came with" not in words(at)


@pytest.mark.parametrize("token", ["../../etc", "0" * 64, "<script>"])
def test_a_link_to_no_upload_asks_nothing(study: Study, token: str) -> None:
    at = show("study/data.py", upload=token)
    assert "A table came with" not in words(at)
    assert not at.exception


def test_a_table_can_be_ignored(empty: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"Scans/{'ab'[n % 2]}/{n}.png": png(picture(n)) for n in range(12)}
    files["Scans/notes.csv"] = b"what,when\nx,y\n"
    at = show("study/home.py")
    brought(empty, at, monkeypatch, files)
    assert "No column of the table names the files" in marked_up(at)
    button(at, "Ignore the table").click().run()
    wait(at)
    assert empty.manifest.class_counts == {"a": 6, "b": 6}


def test_more_images_make_a_new_version(
    empty: Study, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {f"x/{'ab'[n % 2]}/{n}.png": png(picture(100 + n)) for n in range(6)}
    more["x/a/again.png"] = empty.library.image_path(manifest.rows[0].image).read_bytes()
    at = show("study/data.py", data=manifest.id)
    widget(at.button_group, "As").set_value("More of this one").run()
    brought(empty, at, monkeypatch, more)
    wait(at)
    changed = opened(empty, at)
    assert changed.parent == manifest.id
    assert at.title[0].value == "Cells, version 2"
    assert len(changed.rows) == len(manifest.rows) + 6


def test_a_folder_of_this_machine_is_read_without_an_upload(
    empty: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(8):
        path = tmp_path / "shared" / "scans" / "ab"[n % 2] / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(picture(n)))
    assert not [each for each in show("study/home.py").selectbox if "machine" in each.label]
    monkeypatch.setenv("TRANSFER_LAB_FOLDERS", str(tmp_path / "shared"))
    at = show("study/home.py")
    widget(at.selectbox, "Or a folder on this machine").set_value(tmp_path / "shared" / "scans").run()
    button(at, "Read it").click().run()
    at.switch_page("study/data.py")
    wait(at)
    assert empty.manifest.class_counts == {"a": 4, "b": 4}
    assert (tmp_path / "shared" / "scans" / "a" / "0.png").exists()


def deep(seed: int) -> bytes:
    values = (picture(seed)[..., 0].astype(np.uint16) * 16).clip(0, 4095)
    out = io.BytesIO()
    Image.fromarray(values).save(out, "TIFF")
    return out.getvalue()


def test_black_and_white_of_deep_images_are_seen_and_changed(empty: Study) -> None:
    files = {f"{'ab'[seed % 2]}/{seed}.tif": deep(seed) for seed in range(12)}
    candidates = [Candidate(path, partial(bytes, data), path[0]) for path, data in files.items()]
    manifest, _ = ingest(candidates, "Scans", empty.library)
    measure_all(empty.library, manifest)
    get_alike(empty.library, manifest)
    at = show("study/data.py", data=manifest.id)
    at.session_state["grey"] = True
    at.run()
    slider = widget(at.slider, "From black to white")
    assert slider.value == (manifest.reading.low, manifest.reading.high)
    assert (slider.min, slider.max) == (0, 4095)  # all that 12 bits can hold
    assert button(at, "Read all images this way").disabled
    slider.set_value((1000.0, 2000.0)).run()
    button(at, "Read all images this way").click().run()
    wait(at)
    changed = opened(empty, at)
    assert (changed.parent, changed.reading.low, changed.reading.high) == (manifest.id, 1000.0, 2000.0)
    fresh, _ = ingest(candidates, "Scans", empty.library, reading=changed.reading)
    assert changed.rows == fresh.rows  # as if they had been brought so


def test_a_set_of_8_bits_asks_nothing_of_black_and_white(empty: Study, manifest: Manifest) -> None:
    at = show("study/data.py", data=manifest.id)
    assert "What is black and what is white" not in [each.label for each in at.expander]


def test_every_frame_can_become_an_image(empty: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    first, *others = (Image.fromarray(picture(seed)) for seed in range(8))
    first.save(out, "TIFF", save_all=True, append_images=others)
    files = {f"Scans/{label}/stack.tif": out.getvalue() + b" " * n for n, label in enumerate("ab")}
    at = show("study/home.py")
    widget(at.checkbox, "Every frame or page becomes an image").check()
    brought(empty, at, monkeypatch, files)
    wait(at)
    assert len(empty.manifest.rows) == 16
    assert set(empty.manifest.groups.values()) == {8}


def test_what_another_window_brings_is_seen_and_told_when_it_is_here(
    empty: Study, manifest: Manifest
) -> None:
    intake = state.get_intake()
    on_its_way = Arrival("More cells", done=3, total=10)
    intake._arrivals[on_its_way.id] = on_its_way
    at = show("study/split.py", data=manifest.id)
    assert button(at, "Reading: 3 of 10")
    on_its_way.dataset = manifest.id
    at = show("study/split.py", data=manifest.id)
    assert "On its way" not in words(at)


def test_the_first_data_set_is_waited_for_after_a_reload(empty: Study) -> None:
    intake = state.get_intake()
    on_its_way = Arrival("First cells", done=3, total=10)
    intake._arrivals[on_its_way.id] = on_its_way
    at = show("study/data.py")
    assert "You may leave this page" in words(at)
    assert not at.button
    on_its_way.error = "It is torn: choose the file again."
    assert "Nothing yet" in words(show("study/data.py"))


def test_an_upload_that_nobody_reads_stays_with_a_way_on(empty: Study) -> None:
    """The server died of reading it at each start; another came whole as the server was killed."""
    intake = state.get_intake()  # before anything is there: it would go on with it at once
    given_up = sent(empty.home)
    write_json(close_upload(given_up, "Cells").joinpath("starts.json"), {"count": TRIES, "furthest": 5})
    mark_whole(sent(empty.home), 12, sum(map(len, PICTURES.values())), {"for": "data", "name": "Late"})
    (arrival,) = intake.recover()
    end = time.monotonic() + 30
    while not arrival.is_over:
        assert time.monotonic() < end
        time.sleep(0.02)
    for page in ("study/home.py", "study/data.py"):
        at = show(page)
        said = words(at).replace("\\", "")
        assert "without getting further. The upload is kept: try again" in said
        assert "**Late**: all of it is here, and it was not read yet" in said
    button(at, "Try again").click().run()
    wait(at)
    assert opened(empty, at).class_counts == {"a": 6, "b": 6}
    assert not given_up.folder.exists()
    button(at, "Read it").click().run()
    wait(at)
    assert "Already here as Cells" in words(at)
    assert not list((empty.home / "uploads").glob("*"))


PICTURES = {f"{'ab'[n % 2]}/{n}.png": png(picture(n)) for n in range(12)}


def sent(home: Path) -> Upload:
    upload = open_upload(home, make_token(home))
    for path, data in PICTURES.items():
        with receive(upload, path, len(data)) as out:
            out.write(data)
    return upload


@pytest.mark.parametrize("page", ["study/home.py", "results/predict.py", "study/data.py"])
def test_an_upload_that_nobody_read_goes_only_after_a_tick(study: Study, page: str) -> None:
    run, upload, link = study.ended(), sent(study.home), {}
    if page == "study/data.py":  # it asks what its table means
        set_aside(upload, name="Late")
        with receive(upload, "labels.csv", None) as out:
            out.write(b"image,finding\n0.png,a\n")
        link = {"upload": upload.token}
    else:
        told = {"for": "predict" if "predict" in page else "data", "name": "Late"}
        mark_whole(upload, 12, sum(map(len, PICTURES.values())), told)
    at = show(page, run=run.id, **link)
    assert button(at, "Delete the upload").disabled
    widget(at.checkbox, "I want to delete it").check().run()
    assert upload.folder.exists()
    button(at, "Delete the upload").click().run()
    assert not at.exception
    assert not upload.folder.exists()
    assert "Late" not in words(at)


def test_images_of_one_grey_have_no_range_to_choose(empty: Study) -> None:
    def flat(n: int) -> bytes:
        out = io.BytesIO()
        Image.fromarray(np.full((64, 64), 500, np.uint16)).save(out, "TIFF", resolution=n + 1)
        return out.getvalue()

    files = [Candidate(f"{'ab'[n % 2]}/{n}.tif", partial(flat, n), "ab"[n % 2]) for n in range(8)]
    manifest, _ = ingest(files, "Flat", empty.library)
    at = show("study/data.py", data=manifest.id)
    at.session_state["grey"] = True
    at.run()
    assert not at.exception
    assert "All values in the images below are the same" in words(at)
