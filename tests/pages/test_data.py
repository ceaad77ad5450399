"""The Data page: what stands out, what is done about it, and labels that are set right; the old version always stays."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import streamlit as st

from pages.ui import state
from tests.pages.bringing import opened, picture, png, wait, webp
from tests.pages.screens import Study, button, show, widget, words
from transfer_core.data.alike import get_alike
from transfer_core.data.health import measure_all
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.manifest import Manifest


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
    button(at, "Leave as it is").click().run()
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
