"""Laws of splitting: nothing on two sides, everything on one, and the receipt tells the truth."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import make_row
from splits import DOMAINS, attempt, crossing, look_alikes, make_manifest, manifests, sides

from transfer_core.data.library import Library
from transfer_core.data.manifest import PARTS, TARGET_TRAIN, Manifest
from transfer_core.data.split import RULES, Rule, Split, make_split
from transfer_core.errors import UserError


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=60)
@given(manifest=manifests(), seed=st.integers(0, 99))
def test_every_labelled_image_is_in_one_part_and_all_parts_have_some(
    rule: Rule, manifest: Manifest, seed: int
) -> None:
    split = attempt(manifest, rule, seed)
    parts = [split.part(part) for part in PARTS]
    assert all(parts)
    if rule not in ("transfer", "domain"):  # there, who is tested is not learnt from under another name
        assert sorted(chain(*parts)) == sorted(row.image for row in manifest.labelled)
    assert {manifest.by_image[image].label for image in split.part("train")} == set(manifest.classes)


@settings(max_examples=80)
@given(manifest=manifests(), seed=st.integers(0, 99))
def test_no_group_and_no_pixels_are_on_two_sides(manifest: Manifest, seed: int) -> None:
    split = attempt(manifest, "group", seed)
    assert not crossing(sides(manifest, split, lambda row: row.group))
    assert not crossing(sides(manifest, split, lambda row: row.pixels))
    assert not crossing(sides(manifest, split, lambda row: row.look))
    receipt = split.receipt
    assert (receipt.groups_shared, receipt.pixels_shared, receipt.near_duplicates) == (0, 0, 0)


@settings(max_examples=60)
@given(manifest=manifests(), seed=st.integers(0, 99))
def test_identical_pixels_and_look_alikes_stay_together_where_images_are_split(
    manifest: Manifest, seed: int
) -> None:
    split = attempt(manifest, "image", seed)
    assert not crossing(sides(manifest, split, lambda row: row.pixels))
    assert not crossing(sides(manifest, split, lambda row: row.look))


@settings(max_examples=60)
@given(manifest=manifests(), seed=st.integers(0, 99))
def test_the_domain_left_out_is_the_test_part_and_no_two_parts_share_anything(
    manifest: Manifest, seed: int
) -> None:
    split = attempt(manifest, "domain", seed)
    assert set(split.part("test")) == {row.image for row in manifest.labelled if row.domain == "here"}
    for key in (lambda row: row.group, lambda row: row.pixels, lambda row: row.look):
        assert not crossing(sides(manifest, split, key))


@settings(max_examples=80)
@given(manifest=manifests(), seed=st.integers(0, 99))
def test_from_one_domain_to_another_nothing_tested_was_seen(manifest: Manifest, seed: int) -> None:
    """All of the target takes part, labelled or not; whoever is tested there is nowhere else."""
    split = attempt(manifest, "transfer", seed)
    rows = manifest.by_image
    target = {row.image for row in manifest.rows if row.domain == "here"}
    assert {*split.part("test"), *split.part(TARGET_TRAIN)} == target
    assert all(rows[image].domain == "there" and rows[image].label for image in split.part("train"))
    for key in (lambda row: row.group, lambda row: row.pixels, lambda row: row.look):
        assert not crossing(sides(manifest, split, key))
        assert all(parts == {"test"} or "test" not in parts for parts in sides(manifest, split, key).values())


def test_a_quarter_of_the_target_is_tested_and_three_quarters_are_adapted_to() -> None:
    rows = [make_row(n, "ab"[n % 2], domain=DOMAINS[n // 2 % 2]) for n in range(400)]
    split = make_split(make_manifest(rows), "transfer", train_domain="there", test_domain="here")
    assert (len(split.part("test")), len(split.part(TARGET_TRAIN))) == (50, 150)
    assert len(split.part("train")) + len(split.part("val")) == 200


def test_classes_that_only_the_target_has_are_listed() -> None:
    rows = [make_row(n, "ab"[n % 2] if n < 20 else "bc"[n % 2], domain=DOMAINS[n < 20]) for n in range(40)]
    with pytest.raises(UserError, match=r"does not have: c\. The source has: a, b"):
        make_split(make_manifest(rows), "transfer", test_domain="here")


@settings(max_examples=60)
@given(manifest=manifests(), seed=st.integers(0, 99), named=st.booleans())
def test_what_the_folders_say_is_done(manifest: Manifest, seed: int, named: bool) -> None:
    """Where they name no validation part, it is taken out of the training part, whole groups at a time."""
    if not named:
        rows = [replace(row, given=row.given if row.given == "test" else "train") for row in manifest.rows]
        manifest = make_manifest(rows)
    named = any(row.given == "val" for row in manifest.labelled)
    split = attempt(manifest, "given", seed)
    for row in manifest.labelled:
        said = row.given or "train"
        assert split.assignment[row.image] in ({"train", "val"} if said == "train" and not named else {said})
    for key in (lambda row: row.group, lambda row: row.pixels, lambda row: row.look):
        found = sides(manifest, split, key)
        assert named or not [each for each in found.values() if {"train", "val"} <= each]


@settings(max_examples=60)
@given(
    counts=st.lists(st.integers(8, 60), min_size=2, max_size=4),
    shares=st.tuples(st.integers(2, 8), st.integers(1, 4), st.integers(1, 4)),
    seed=st.integers(0, 99),
)
def test_every_class_is_shared_out_to_within_an_image(
    counts: list[int], shares: tuple[int, int, int], seed: int
) -> None:
    labels = [name for name, n in zip("abcd", counts, strict=False) for _ in range(n)]
    manifest = make_manifest([make_row(n, label) for n, label in enumerate(labels)])
    fractions = [share / sum(shares) for share in shares]
    split = attempt(manifest, "image", seed, fractions=fractions, alike=())
    for part, fraction in zip(PARTS, fractions, strict=True):
        own = Counter(manifest.by_image[image].label for image in split.part(part))
        for name, total in manifest.class_counts.items():
            assert abs(own[name] - fraction * total) < 1


@pytest.mark.parametrize("size", [2, 5, 8])
def test_whole_groups_come_close_to_the_shares(size: int) -> None:
    rows = [make_row(n, "ab"[n // size % 2], group=f"g{n // size}") for n in range(60 * size)]
    split = make_split(make_manifest(rows), "group")
    for part, fraction in zip(PARTS, split.fractions, strict=True):
        for name in "ab":
            assert split.receipt.counts[part][name] == pytest.approx(fraction * 30 * size, abs=size)


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=25)
@given(manifest=manifests(), data=st.data())
def test_the_order_of_rows_does_not_matter(rule: Rule, manifest: Manifest, data: st.DataObject) -> None:
    split = attempt(manifest, rule)
    rows = data.draw(st.permutations(manifest.rows))
    assert attempt(make_manifest(rows), rule) == split


@pytest.mark.parametrize("rule", RULES)
def test_another_seed_is_another_split_and_the_same_seed_the_same(rule: Rule) -> None:
    rows = [make_row(n, "ab"[n % 2], group=f"g{n // 2}", domain=DOMAINS[n % 5 == 0], given=["train", "test"][n % 4 == 0]) for n in range(80)]  # fmt: skip
    manifest = make_manifest(rows)
    target = "there" if rule in ("domain", "transfer") else None
    splits = [make_split(manifest, rule, seed=seed, test_domain=target) for seed in (0, 1, 2, 0)]
    assert splits[0] == splits[3]
    assert len({split.id for split in splits}) == 3


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=60)
@given(manifest=manifests())
def test_the_receipt_says_what_a_recount_finds(rule: Rule, manifest: Manifest) -> None:
    split = attempt(manifest, rule)
    own = {image: "train" if part == TARGET_TRAIN else part for image, part in split.assignment.items()}
    receipt = split.receipt
    assert receipt.groups_shared == len(crossing(sides(manifest, split, lambda row: row.group)))
    assert receipt.pixels_shared == len(crossing(sides(manifest, split, lambda row: row.pixels)))
    near = [each for each in look_alikes(manifest) if len({own[image] for image in each if image in own}) > 1]
    assert receipt.near_duplicates == len(near)
    for part in PARTS:
        for name in manifest.classes:
            counted = sum(
                row.label == name and split.assignment.get(row.image) == part for row in manifest.labelled
            )
            assert receipt.counts[part][name] == counted


@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=15)
@given(manifest=manifests())
def test_json_brings_the_same_split_back(rule: Rule, manifest: Manifest) -> None:
    split = attempt(manifest, rule)
    again = Split.from_json(json.loads(json.dumps(split.to_json())))
    assert again == split
    assert again.id == split.id


def test_the_library_keeps_splits(library: Library) -> None:
    manifest = library.add(make_manifest([make_row(n, "ab"[n % 2]) for n in range(20)]))
    split = library.add_split(make_split(manifest))
    assert library.get_split(manifest.id, split.id) == split
    for dataset, name in (
        (manifest.id, "0" * 16),
        ("0" * 16, split.id),
        (manifest.id, "../about"),
        ("..", "x"),
    ):
        with pytest.raises(UserError):
            library.get_split(dataset, name)


def plain(n: int = 20, **others: object) -> Manifest:
    return make_manifest([make_row(each, "ab"[each % 2], **others) for each in range(n)])


@pytest.mark.parametrize(("manifest", "rule", "wishes", "kind"), [
    (make_manifest([make_row(n, "a") for n in range(9)]), "image", {}, "one-class"),
    (make_manifest([make_row(n, None) for n in range(9)]), "image", {}, "one-class"),
    (make_manifest([make_row(n, "ab"[n]) for n in range(2)]), "image", {}, "empty-part"),
    (plain(), "group", {}, "no-groups"),
    (plain(group="one"), "group", {}, "empty-part"),
    (plain(), "domain", {"test_domain": "here"}, "no-domains"),
    (plain(domain="here"), "domain", {"test_domain": "here"}, "no-domains"),
    (make_manifest([make_row(n, "ab"[n % 2], domain=DOMAINS[n % 3 == 0]) for n in range(9)]), "domain", {}, "no-such-domain"),
    (make_manifest([make_row(n, "ab"[n % 2], domain=DOMAINS[n % 2]) for n in range(9)]), "domain", {"test_domain": "here"}, "untrained-class"),
    (plain(), "given", {}, "no-given-split"),
    (plain(given="train"), "given", {}, "no-given-split"),
    (plain(), "random", {}, "bad-input"),
    (plain(), "image", {"fractions": (0.5, 0.5)}, "bad-input"),
    (plain(), "image", {"fractions": (0.5, 0.5, 0.5)}, "bad-input"),
    (plain(), "image", {"fractions": (1.2, -0.1, -0.1)}, "bad-input"),
    (plain(), "image", {"fractions": (float("nan"), 0.5, 0.5)}, "bad-input"),
    (plain(), "image", {"test_domain": "here"}, "bad-input"),
    (plain(), "group", {"train_domain": "here", "test_domain": "there"}, "bad-input"),
])  # fmt: skip
def test_what_cannot_be_split_is_said(
    manifest: Manifest, rule: Rule, wishes: dict[str, object], kind: str
) -> None:
    with pytest.raises(UserError) as refused:
        make_split(manifest, rule, **wishes)
    assert refused.value.kind == kind


@settings(max_examples=60)
@given(
    manifest=manifests(), seed=st.integers(0, 99), rule=st.sampled_from(["image", "group", "domain", "given"])
)
def test_unlabelled_images_that_have_to_do_with_the_test_are_not_free(
    manifest: Manifest, seed: int, rule: Rule
) -> None:
    split = attempt(manifest, rule, seed)
    rows = manifest.by_image
    kept = [rows[image] for part in ("val", "test") for image in split.part(part)]
    for image in split.free(manifest):
        own = rows[image]
        assert image not in split.assignment
        assert own.pixels not in {row.pixels for row in kept}
        assert own.look not in {row.look for row in kept}
        assert not own.group or own.group not in {row.group for row in kept}
        assert rule != "domain" or own.domain != "here"
        assert own.given not in ("val", "test")


def test_classes_that_the_target_lacks_are_named() -> None:
    rows = [
        make_row(
            n, "abc"[n % 3] if n % 2 else "ab"[n // 2 % 2], domain=("there", "here")[n % 2], group=f"g{n}"
        )
        for n in range(120)
    ]

    def to_there(manifest: Manifest) -> Split:
        return make_split(manifest, "transfer", train_domain="here", test_domain="there")

    assert to_there(make_manifest(rows)).absent_classes == ["c"]
    assert (
        to_there(
            make_manifest([replace(row, label="abc"[n % 3]) for n, row in enumerate(rows)])
        ).absent_classes
        == []
    )
    bare = [replace(row, label=None) if row.domain == "there" else row for row in rows]
    assert to_there(make_manifest(bare)).absent_classes == [], "without labels nothing can be said"
