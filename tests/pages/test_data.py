"""The Data page: what stands out, what is done about it, and labels that are set right; the old version always stays."""

from __future__ import annotations

import io
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.ui import bring, state
from tests.pages.screens import Study, button, link_of, marked_up, show, widget, words
from transfer_core.data.alike import get_alike
from transfer_core.data.health import measure_all
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.manifest import Manifest
from transfer_core.files import read_json, write_json
from transfer_core.runs.intake import Arrival, Intake
from transfer_core.runs.uploads import close_upload, make_token, open_upload, receive


def png(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG")
    return out.getvalue()


def webp(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(values).save(out, "WEBP", lossless=True)
    return out.getvalue()


def picture(seed: int) -> np.ndarray:
    rough = np.random.default_rng(seed).integers(40, 216, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(rough).resize((96, 96), Image.Resampling.NEAREST))


@pytest.fixture
def manifest(empty: Study) -> Manifest:
    """Twelve sound pictures, a black one, and one nearly the same as another."""
    pictures = {f"{'ab'[seed % 2]}/{seed:02d}.png": picture(seed) for seed in range(12)}
    pictures["a/black.png"] = picture(50) // 16
    pictures["b/nearly.png"] = picture(1) + 1
    candidates = [Candidate(path, partial(png, values), path[0]) for path, values in pictures.items()]
    found, _ = ingest(candidates, "Cells", empty.library)
    measure_all(empty.library, found)
    get_alike(empty.library, found)
    return found


def opened(study: Study, at: AppTest) -> Manifest:
    """The data set that is open now."""
    return study.library.get(link_of(at, "data") or "")


def test_a_set_that_was_never_looked_at_asks_for_it(study: Study) -> None:
    at = show("study/data.py", data=study.manifest.id)
    assert "not looked at yet" in words(at)
    button(at, "Check the images").click().run()
    while "You may leave this page" in words(at):
        at.run()
    assert "Nothing: no doubles" in words(at) or at.expander


def test_what_stands_out_is_told_and_taken_out(empty: Study, manifest: Manifest) -> None:
    at = show("study/data.py", data=manifest.id)
    titles = [each.label for each in at.expander]
    assert any("Almost black" in each and "1 image" in each for each in titles)
    assert any("Nearly the same" in each for each in titles)
    button(at, "Leave it out").click().run()
    changed = opened(empty, at)
    assert changed.parent == manifest.id
    assert {row.path for row in manifest.rows} - {row.path for row in changed.rows} == {"a/black.png"}
    assert at.title[0].value == "Cells, version 2"
    assert not any("Almost black" in each.label for each in at.expander)
    button(at, "Hold together in every split").click().run()
    held = opened(empty, at)
    assert list(held.groups.values()) == [2]
    assert at.title[0].value == "Cells, version 3"
    button(at, "Back to the version before").click().run()
    assert opened(empty, at) == changed
    assert empty.library.get(manifest.id) == manifest


def test_a_finding_can_be_left_as_it_is_and_called_back(empty: Study, manifest: Manifest) -> None:
    at = show("study/data.py", data=manifest.id)
    before = len(at.expander)
    at.button(key="keep-0").click().run()
    assert len(at.expander) == before - 1
    again = show("study/data.py", data=manifest.id)
    button(again, "Show 1 finding left as it is").click().run()
    assert len(again.expander) == before


def test_the_images_of_a_finding_can_be_filtered(empty: Study, manifest: Manifest) -> None:
    at = show("study/data.py", data=manifest.id)
    widget(at.selectbox, "Stands out").set_value("near-duplicates").run()
    assert "2 images" in [each.value for each in at.caption]


def test_labels_are_changed_in_a_new_version(
    empty: Study, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edited(table: list[dict[str, Any]], **_: Any) -> list[dict[str, Any]]:
        by_file = {
            "a/00.png": {"Class": "c"},
            "b/01.png": {"Class": "unlabelled"},
            "a/02.png": {"Leave out": True},
        }
        return [row | by_file.get(row["File"], {}) for row in table]

    monkeypatch.setattr(st, "data_editor", edited)
    at = show("study/data.py", data=manifest.id)
    widget(at.toggle, "Change labels").set_value(True).run()
    assert "not saved yet" in words(at)
    button(at, "Save as a new version").click().run()
    changed = opened(empty, at)
    labels = {row.path: row.label for row in changed.rows}
    assert (labels["a/00.png"], labels["b/01.png"]) == ("c", None)
    assert "a/02.png" not in labels
    assert len(labels) == len(manifest.rows) - 1
    assert changed.parent == manifest.id


def test_from_a_contradiction_to_the_table_that_mends_it(empty: Study) -> None:
    twice = {"a/one.png": png(picture(0)), "b/two.webp": webp(picture(0))}
    files = {f"{'ab'[seed % 2]}/{seed}.png": png(picture(seed)) for seed in range(1, 12)} | twice
    manifest, _ = ingest(
        [Candidate(path, partial(bytes, data), path[0]) for path, data in files.items()],
        "Cells",
        empty.library,
    )
    measure_all(empty.library, manifest)
    get_alike(empty.library, manifest)
    at = show("study/data.py", data=manifest.id)
    button(at, "Set the labels right below").click().run()
    assert "2 images" in [each.value for each in at.caption]
    assert widget(at.toggle, "Change labels").value


@pytest.mark.parametrize("without", [0, 3])
def test_images_without_a_label_are_counted(empty: Study, without: int) -> None:
    candidates = [
        Candidate(f"{n}.png", partial(png, picture(n)), None if n < without else "ab"[n % 2])
        for n in range(12)
    ]
    manifest, _ = ingest(candidates, "Scans", empty.library)
    facts = {each.label: each.value for each in show("study/data.py", data=manifest.id).metric}
    assert facts["Images"] == "12"
    assert facts.get("Without a label") == ("3" if without else None)


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


def test_a_pattern_that_is_none_is_told(empty: Study, manifest: Manifest) -> None:
    at = show("study/data.py", data=manifest.id)
    at.session_state["groups"] = True
    at.run()
    widget(at.selectbox, "Told by").set_value("A pattern of your own").run()
    widget(at.text_input, "Regular expression; its first bracket is the group").set_value("(").run()
    assert "cannot be read at character 1" in marked_up(at)
    assert not at.exception


def brought(empty: Study, at: AppTest, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> None:
    """What the browser does when a folder is chosen."""
    told: list[tuple[str, str, int, int]] = []

    def sent(token: str, **_: Any) -> tuple[str, str, int, int] | None:
        if told:
            return None
        for path, content in files.items():
            with receive(open_upload(empty.home, token), path, len(content)) as out:
                out.write(content)
        told.append((token, "Scans", len(files), sum(map(len, files.values()))))
        return told[0]

    monkeypatch.setattr(bring, "uploader", sent)
    at.run()
    at.switch_page("study/data.py").run()  # AppTest itself does not follow


def wait(at: AppTest) -> None:
    """Wait until what was brought is there; not a run longer, because what is said of its coming is said once."""
    end = time.monotonic() + 30
    while "You may leave this page" in words(at):
        assert time.monotonic() < end
        time.sleep(0.02)
        at.run()


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


def test_the_optimism_gap_is_measured_by_six_probes(study: Study) -> None:
    at = show("study/split.py", data=study.manifest.id)
    button(at, "How much would a random split flatter?").click().run()
    runs = study.store.runs()
    assert len(runs) == 6
    assert {run.spec.strategy for run in runs} == {"feature_extraction"}
    assert "0 of 6 done" in words(at)
    for run in runs:
        rule = study.library.get_split(run.manifest, run.spec.split).rule
        study.finish(run, {"n": 20, "accuracy": 0.9 if rule == "image" else 0.7})
    at.run()
    assert "flatter by about 20.0 points" in words(at)


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


def test_a_large_set_that_was_not_checked_is_not_split(
    empty: Study, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "WHILE_ONE_WAITS", 10)
    assert show("study/split.py", data=manifest.id).main.get("plotly_chart")
    st.cache_resource.clear()
    (empty.library.folder / manifest.id / "alike.json").unlink()
    at = show("study/split.py", data=manifest.id)
    assert "check the images on the Data page first" in at.error[0].value
    at = show("study/data.py", data=manifest.id)
    button(at, "Check the images").click().run()
    wait(at)
    assert show("study/split.py", data=manifest.id).main.get("plotly_chart")


def test_what_is_left_out_because_the_test_shows_it_is_told(empty: Study) -> None:
    """Two sites; one image of the first is nearly that of another in the second."""
    files = {f"{'ab'[n % 2]}/{n:02d}.png": picture(n) for n in range(24)} | {"a/again.png": picture(12) + 1}
    sites = {path: "east" if path[2:] < "12" else "west" for path in files}
    sites["a/again.png"] = "east"
    candidates = [Candidate(path, partial(png, each), path[0], sites[path]) for path, each in files.items()]
    manifest, _ = ingest(candidates, "Cells", empty.library)
    get_alike(empty.library, manifest)
    at = show("study/split.py", data=manifest.id)
    at.radio[0].set_value("domain").run()
    widget(at.selectbox, "Test on").set_value("west").run()
    assert "1 image not trained on, because what is tested shows the same" in words(at)
    assert "0 sets of look-alikes on both sides" in words(at)


def test_look_alikes_that_somebody_found_different_are_let_go(empty: Study, manifest: Manifest) -> None:
    at = show("study/data.py", data=manifest.id)
    button(at, "They are different, let them be").click().run()
    at.switch_page("study/split.py").run()
    assert "somebody found them different" in words(at)
    button(at, "Continue to training").click().run()
    (split,) = (empty.library.folder / manifest.id / "splits").glob("*.json")
    assert empty.library.get_split(manifest.id, split.stem).alike == ()


def test_an_upload_that_nobody_survives_is_given_up(empty: Study) -> None:
    """The server died of reading it, at each start."""
    home = empty.home
    upload = open_upload(home, make_token(home))
    with receive(upload, "a/1.png", None) as out:
        out.write(png(picture(1)))
    folder = close_upload(upload, "Cells")
    write_json(folder / "upload.json", {**read_json(folder / "upload.json"), "tried": 3})
    (arrival,) = Intake(empty.library).recover()
    for _ in range(200):
        if arrival.is_over:
            break
        time.sleep(0.05)
    assert "bring it in smaller parts" in str(arrival.error)
    assert not folder.exists()


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
