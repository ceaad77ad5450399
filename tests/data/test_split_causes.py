"""Why a part of a split is empty: the cause that is told is the cause that is there."""

from __future__ import annotations

import pytest
from pictures import make_row

from transfer_core.data.manifest import Manifest
from transfer_core.data.split import make_split, usual_rule
from transfer_core.data.split_causes import why_without
from transfer_core.errors import UserError


def manifest(groups: int = 0, images: int = 40, **others: str) -> Manifest:
    rows = [
        make_row(n, "ab"[n // 2 % 2], group=f"g{n % groups}" if groups else None, **others)
        for n in range(images)
    ]
    return Manifest("set", ("a", "b"), tuple(rows))


def test_too_few_groups_are_named_as_the_cause() -> None:
    with pytest.raises(UserError, match="validation part would be empty: there are only 2 groups"):
        make_split(manifest(groups=2), "group")


def test_too_few_images_are_named_as_the_cause() -> None:
    with pytest.raises(UserError, match="only 2 images to share out") as refused:
        make_split(Manifest("set", ("a", "b"), (make_row(0, "a"), make_row(1, "b"))))
    assert "group" not in str(refused.value)


def test_a_part_no_folder_gives_is_named_as_the_cause() -> None:
    rows = [make_row(n, "ab"[n % 2], given="test" if n % 2 else "val") for n in range(8)]
    rows.append(make_row(9, None, given="train"))
    with pytest.raises(UserError, match="not brought in train"):
        make_split(Manifest("set", ("a", "b"), tuple(rows)), "given")


@pytest.mark.parametrize(
    ("own", "groups", "cause"),
    [
        (1, 0, "No image of rare in the validation part nor in the test part: the class has only 1 image"),
        (6, 1, "its 6 images are of 1 group or set of look-alikes"),
    ],
)
def test_a_class_that_is_missing_in_a_part(own: int, groups: int, cause: str) -> None:
    known = manifest(groups=10)
    rare = [make_row(100 + n, "rare", group="r" if groups else None) for n in range(own)]
    both = Manifest("set", ("a", "b", "rare"), (*known.rows, *rare))
    split = next(found for seed in range(50) if (found := _try(both, seed)))
    (told,) = why_without(["a", "b", "rare"], both, split.receipt.counts, "group")
    assert cause in told
    assert "seed" not in told


def _try(known: Manifest, seed: int):  # type: ignore[no-untyped-def]
    """A split in which all images of the rare class train."""
    try:
        found = make_split(known, "group", seed=seed)
    except UserError:
        return None
    return found if found.receipt.counts["train"]["rare"] == known.class_counts["rare"] else None


def test_only_the_part_that_has_none_is_named() -> None:
    counts = {"train": {"a": 9}, "val": {"a": 0}, "test": {"a": 1}}
    rows = tuple(make_row(n, "a") for n in range(10))
    (told,) = why_without(["a"], Manifest("set", ("a",), rows), counts, "image")
    assert told.startswith("No image of a in the validation part:")
    assert "test part" not in told


def test_what_is_known_to_belong_together_stays_together_where_nobody_chose() -> None:
    assert usual_rule(manifest(groups=5))[0] == "group"
    assert usual_rule(manifest())[0] == "image"
    rows = tuple(make_row(n, "ab"[n % 2], group="g", given=("train", "test")[n % 3 // 2]) for n in range(9))
    assert usual_rule(Manifest("set", ("a", "b"), rows))[0] == "given"
