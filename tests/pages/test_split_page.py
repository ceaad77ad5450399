"""Split and Report where only some images name a group, and what a study of the data leaves alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sample_data.shapes import draw_shapes
from tests.pages.screens import Study, bring, labels, show, widget, words
from transfer_core.bundle import story
from transfer_core.bundle.document import Text
from transfer_core.runs.take_home import make_subject


@pytest.fixture
def mixed(empty: Study) -> Study:
    """Sixty drawings of three classes, one of which names a patient."""
    drawings = draw_shapes(60, seed=3, size=32, classes=("disc-solid", "cross-outline", "star-dotted"))
    bring(empty.home, [replace(each, group=None if n else "P1") for n, each in enumerate(drawings)])
    return empty


def test_one_image_with_a_group_makes_no_split_by_group(mixed: Study) -> None:
    at = show("study/split.py", data=mixed.manifest.id)
    kept = widget(at.radio, "Kept apart")
    assert kept.value == "image"
    for rule in ("image", "group"):
        kept.set_value(rule).run()
        said = words(at)
        assert "59 of 60 images name no group and are divided one by one" in said
        assert ":material/check: 0 groups on both sides" not in said
    assert "How much would a random split flatter?" not in labels(at)


def test_reports_claim_whole_groups_only_where_all_images_name_one(mixed: Study) -> None:
    mixed.choices = {"rule": "group"}
    run = mixed.ended()
    at = show("results/report.py", run=run.id)
    card = next(
        each.text for each in story.tell(make_subject(mixed.lab, run))
        if isinstance(each, Text) and each.text.startswith("Held out")
    )  # fmt: skip
    for said in (words(at), card):
        assert "whole groups" not in said
        assert "Held out: " in said
        assert "59 of 60 images name no group and are divided one by one" in said


def test_whole_groups_are_claimed_where_every_image_names_one(study: Study) -> None:
    study.choices = {"rule": "group"}
    said = words(show("results/report.py", run=study.ended().id))
    assert "Held out: whole groups that training never saw. Model chosen by" in said
    assert "no group" not in said
