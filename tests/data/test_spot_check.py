"""A spot check is drawn blind, from unlabelled test images alone, and counts only when it is complete."""

from __future__ import annotations

from dataclasses import replace

from tests.support import Lab
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import make_split
from transfer_core.data.spot_check import SIZE, draw_spot_check


def unlabelled_target(lab: Lab) -> Manifest:
    target = list(lab.manifest.domains)[1]
    rows = tuple(replace(row, label=None) if row.domain == target else row for row in lab.manifest.rows)
    return lab.library.add(replace(lab.manifest, rows=rows))


def test_it_is_drawn_from_the_test_part_and_depends_on_the_split_alone(lab: Lab) -> None:
    manifest = unlabelled_target(lab)
    source, target = manifest.domains
    split = make_split(manifest, "transfer", train_domain=source, test_domain=target)
    check = draw_spot_check(manifest, split, {})
    assert len(check.images) == min(SIZE, len(split.part("test")))
    assert set(check.images) <= set(split.part("test"))
    assert check.images == draw_spot_check(manifest, split, {check.images[0]: None}).images
    assert draw_spot_check(lab.manifest, lab.across_domains().split, {}).images == (), (
        "labels are there already"
    )


def test_it_labels_nothing_until_all_are_answered(lab: Lab) -> None:
    manifest = unlabelled_target(lab)
    source, target = manifest.domains
    split = make_split(manifest, "transfer", train_domain=source, test_domain=target)
    name = manifest.classes[0]
    answers: dict[str, str | None] = {}
    for image in draw_spot_check(manifest, split, {}).images:
        assert draw_spot_check(manifest, split, answers).applied(manifest) == manifest
        answers[image] = name if answers else None
        lab.library.answer(manifest.id, image, answers[image])
    assert lab.library.answers(manifest.id) == answers
    found = draw_spot_check(manifest, split, answers).applied(manifest).by_image
    assert {image: found[image].label for image in answers} == answers
    others = [row for row in manifest.rows if row.image not in answers]
    assert all(found[row.image] == row for row in others)
    lab.library.forget_answer(manifest.id, next(iter(answers)))
    assert not draw_spot_check(manifest, split, lab.library.answers(manifest.id)).is_done
