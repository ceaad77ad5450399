"""What is said of a split where some images name a group and others do not."""

from __future__ import annotations

import pytest
from pictures import make_row

from transfer_core.data.manifest import Manifest
from transfer_core.data.split import make_split, usual_rule


def named(*groups: str | None) -> Manifest:
    """A data set of two classes with these groups."""
    rows = [make_row(n, "ab"[n % 2], group=group) for n, group in enumerate(groups)]
    return Manifest("set", ("a", "b"), tuple(rows))


@pytest.mark.parametrize(
    ("groups", "rule"),
    [([None] * 40, "image"), (["p", *[None] * 39], "image"), ([*"abcdefghij" * 2, *[None] * 21], "image"),
     ([*"abcdefghij" * 2, *[None] * 20], "group"), ([*"abcdefghij" * 4], "group")],
)  # fmt: skip
def test_by_group_is_usual_where_half_of_the_images_name_one(groups: list[str | None], rule: str) -> None:
    assert usual_rule(named(*groups))[0] == rule


def test_a_group_of_unlabelled_images_alone_is_none_to_split_by() -> None:
    rows = [make_row(n, "ab"[n % 2] if n < 40 else None, group=None if n < 40 else "p") for n in range(90)]
    assert usual_rule(Manifest("set", ("a", "b"), tuple(rows)))[0] == "image"


def test_how_many_name_none_is_said_and_no_whole_groups_are_claimed() -> None:
    manifest = named("p", *[None] * 154)
    split = make_split(manifest, "group")
    words = "154 of 155 images name no group and are divided one by one: those of one patient or part may be on both sides."
    assert split.ungrouped(manifest) == words
    assert "whole" not in split.held_out(manifest)
    held = [manifest.by_image[image] for image in split.part("test")]
    alone = sum(not row.group for row in held)
    assert split.held_out(manifest).endswith(f"{alone} single images that name no group")
    assert split.held_out(manifest).startswith("1 group and") == (alone < len(held))


def test_one_image_without_a_group_is_one() -> None:
    manifest = named(*"abcdefghij" * 4, None)
    said = make_split(manifest, "group").ungrouped(manifest)
    assert said.startswith("1 of 41 images names no group and is divided alone:")


@pytest.mark.parametrize("groups", [[*"abcdefghij" * 4], [None] * 40])
def test_where_all_or_none_name_a_group_nothing_is_said(groups: list[str | None]) -> None:
    manifest = named(*groups)
    assert not make_split(manifest, "image").ungrouped(manifest)
    if groups[0]:
        split = make_split(manifest, "group")
        assert split.held_out(manifest) == "whole groups that training never saw"
        assert split.units(manifest, 1) == "1 group"
        assert usual_rule(named(*["p"] * 9))[1].startswith("1 group is known")
