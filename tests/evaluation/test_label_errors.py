"""Labels that may be wrong: found where they were made wrong, by the rule as it was published."""

from __future__ import annotations

import numpy as np
import pytest

from transfer_core.evaluation.label_errors import find_suspects, out_of_fold
from transfer_core.evaluation.probe import Floats, Numbers

CLASSES = 3


def world(seed: int, n: int = 400) -> tuple[Floats, Numbers]:
    """Features of three classes that a line nearly tells apart."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(CLASSES, n, p=[0.6, 0.3, 0.1])
    middles = rng.normal(0, 1, (CLASSES, 30))
    return 1.2 * middles[truth] + rng.normal(0, 1, (n, 30)), truth


def by_the_paper(probabilities: Floats, truth: Numbers) -> set[int]:
    """Northcutt et al. 2021, equations 1 and 2, an image at a time: off the diagonal of the confident joint, and not said."""
    usual = {
        c: np.mean([p[c] for p, t in zip(probabilities, truth, strict=True) if t == c]) for c in set(truth)
    }
    found = set()
    for number, (p, t) in enumerate(zip(probabilities, truth, strict=True)):
        confident = [c for c in usual if p[c] >= usual[c]]
        if confident and max(confident, key=lambda c: p[c]) != t and p.argmax() != t:
            found.add(number)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_the_rule_is_the_published_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities, truth = rng.dirichlet([0.7] * CLASSES, 300), rng.integers(0, CLASSES, 300)
    found = find_suspects(probabilities, truth)
    assert set(found.images.tolist()) == by_the_paper(probabilities, truth)
    given, other = (
        probabilities[found.images, truth[found.images]],
        probabilities[found.images, found.instead],
    )
    assert np.allclose(found.margin, given - other)
    assert (np.diff(found.margin) >= 0).all()
    assert (found.margin < 0).all()
    assert (found.instead != truth[found.images]).all()


@pytest.mark.parametrize("grouped", [False, True])
def test_flipped_labels_are_found_first(grouped: bool) -> None:
    features, truth = world(1)
    rng = np.random.default_rng(2)
    flipped = rng.permutation(len(truth))[:20]
    given = truth.copy()
    given[flipped] = (truth[flipped] + 1) % CLASSES
    groups = [f"g{number // 5}" for number in range(len(truth))] if grouped else None
    found = find_suspects(out_of_fold(features, given, groups, CLASSES), given)
    right = np.isin(found.images, flipped)
    assert right.sum() >= 14  # of 20
    assert right.mean() > 0.9
    assert (found.instead == truth[found.images])[right].mean() > 0.9


def test_an_image_is_not_asked_about_itself() -> None:
    """Features that say nothing: by heart every label would be right, left out the commonest class is all there is."""
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 120)
    said = out_of_fold(rng.normal(0, 1, (120, 500)), truth, None, 2).argmax(1)
    assert (said == truth).mean() < 0.65


def test_copies_of_one_group_do_not_vouch_for_each_other() -> None:
    """Each group is one image, five times, and its label is drawn by lot: only a leak could tell it."""
    rng = np.random.default_rng(4)
    label = rng.integers(0, 2, 40)
    features = np.repeat(rng.normal(0, 1, (40, 60)), 5, axis=0)
    truth, groups = np.repeat(label, 5), [f"g{number // 5}" for number in range(200)]
    assert (out_of_fold(features, truth, groups, 2).argmax(1) == truth).mean() < 0.7
    assert (
        out_of_fold(features, truth, None, 2).argmax(1) == truth
    ).mean() > 0.9  # so that there is a leak to find


def test_where_nothing_is_wrong_few_are_suspected() -> None:
    rng = np.random.default_rng(5)
    truth = rng.integers(0, CLASSES, 300)
    features = 8 * np.eye(CLASSES)[truth] + rng.normal(0, 1, (300, CLASSES))
    assert len(find_suspects(out_of_fold(features, truth, None, CLASSES), truth).images) <= 3
