"""Views: the first is the image, the symmetric ones move pixels and change none, all can be made again."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer_core.data.augment import (
    AUGMENTATIONS,
    count_views,
    draw_mixture,
    get_augmentation,
    make_view,
)
from transfer_core.errors import UserError

NAMES = [each.name for each in AUGMENTATIONS]
SYMMETRIC = ("mirror", "flips", "turns")
IMAGE, OTHER = "ab" * 32, "cd" * 32
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint8)
TABLE = {  # what each policy may do to the plane, as the 2 × 2 matrices of its symmetries
    "mirror": {((1, 0), (0, 1)), ((1, 0), (0, -1))},
    "flips": {((a, 0), (0, b)) for a in (1, -1) for b in (1, -1)},
    "turns": {((a, 0), (0, b)) for a in (1, -1) for b in (1, -1)} | {((0, a), (b, 0)) for a in (1, -1) for b in (1, -1)},
}  # fmt: skip


def views(name: str, seed: int = 0, image: str = IMAGE) -> list[np.ndarray]:
    partner = PIXELS[::-1, ::-1]
    return [make_view(PIXELS, name, view, image, seed, partner) for view in range(count_views(name))]


@pytest.mark.parametrize("name", NAMES)
def test_the_first_view_is_the_image_itself(name: str) -> None:
    assert np.array_equal(make_view(PIXELS, name, 0, IMAGE, 5), PIXELS)


@pytest.mark.parametrize("name", NAMES)
def test_all_views_differ_keep_their_shape_and_can_be_made_again(name: str) -> None:
    made = views(name)
    # RandAugment may draw changes that change nothing.
    assert name == "randaugment" or len({each.tobytes() for each in made}) == count_views(name)
    assert all(each.shape == PIXELS.shape and each.dtype == np.uint8 for each in made)
    assert all(np.array_equal(a, b) for a, b in zip(made, views(name), strict=True))


@pytest.mark.parametrize("name", SYMMETRIC)
def test_symmetric_views_are_exactly_the_symmetries_of_the_square_they_promise(name: str) -> None:
    """Each pixel goes where one of the policy's matrices sends it, and each matrix has its view."""
    where = np.argwhere(np.ones((8, 8))) - 3.5  # (row, column) from the centre
    found = set()
    for made in views(name):
        for matrix in TABLE[name]:
            to = (where @ np.array(matrix) + 3.5).astype(int)
            sent = np.empty_like(PIXELS)
            sent[:, to[:, 0], to[:, 1]] = PIXELS.reshape(3, -1)
            if np.array_equal(sent, made):
                found.add(matrix)
    assert found == TABLE[name]
    assert len(found) == count_views(name)


def test_random_views_depend_on_image_seed_and_number() -> None:
    made = [
        make_view(PIXELS, "light", *each)
        for each in ((1, IMAGE, 0), (2, IMAGE, 0), (1, OTHER, 0), (1, IMAGE, 1))
    ]
    assert len({each.tobytes() for each in made}) == 4


def test_small_shifts_and_lighting_are_small() -> None:
    """A spot stays within the promised turn, shift and zoom, and a plain field within the promised light."""
    spot = np.zeros((3, 100, 100), np.uint8)
    spot[:, 68:73, 68:73] = 255
    field = np.full((3, 100, 100), 128, np.uint8)
    for view in range(1, 60):
        made = make_view(spot, "light", view, IMAGE, 0).astype(float)[0]
        made -= np.median(made[20:80, 20:80])
        inside = np.zeros_like(made)
        inside[40:95, 40:95] = made[40:95, 40:95].clip(60)
        weights = inside - inside.min()
        centre = np.array([(weights.sum(1 - axis) * np.arange(100)).sum() for axis in (0, 1)]) / weights.sum()
        reach = np.hypot(20, 20) * np.deg2rad(8) + 0.07 * np.hypot(20, 20) + 6.4 * np.sqrt(2)
        assert np.hypot(*(centre - 70)) <= reach + 1
        assert (
            np.abs(make_view(field, "light", view, IMAGE, 0)[:, 30:70, 30:70].astype(float) - 128).max() <= 40
        )


@given(name=st.sampled_from(NAMES), wanted=st.integers(0, 50))
def test_no_view_is_counted_that_would_be_one_of_the_others(name: str, wanted: int) -> None:
    most = get_augmentation(name).most
    assert count_views(name, wanted) == (1 if most == 1 else wanted if most is None else min(wanted, most))


def test_an_unknown_policy_is_refused_by_naming_the_known_ones() -> None:
    with pytest.raises(UserError, match="none, mirror, flips, turns, light"):
        make_view(PIXELS, "upside", 1, IMAGE, 0)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_a_mixture_is_as_much_of_each_image_as_it_says(name: str) -> None:
    """Black mixed with white: the mean brightness is the white image's share."""
    black, white = np.zeros((3, 64, 64), np.uint8), np.full((3, 64, 64), 255, np.uint8)
    partners = [f"{n:064x}" for n in range(9)]
    seen = set()
    for view in range(1, 40):
        mixture = draw_mixture(name, view, IMAGE, 3, partners)
        assert mixture == draw_mixture(name, view, IMAGE, 3, partners)
        assert mixture is not None
        partner, share = mixture
        assert partner in partners
        assert 0.5 <= share <= 1
        made = make_view(black, name, view, IMAGE, 3, white)
        assert made.mean() / 255 == pytest.approx(1 - share, abs=0.03)
        seen.add(partner)
    assert len(seen) > 4
    assert draw_mixture(name, 0, IMAGE, 3, partners) is None
    assert draw_mixture("flips", 1, IMAGE, 3, partners) is None
    assert np.array_equal(make_view(PIXELS, name, 1, IMAGE, 3), PIXELS), "without a partner nothing is mixed"


def test_another_camera_cuts_nothing_off_and_mirrors_nothing() -> None:
    """A small mark stays in the picture wherever it lies, at the very border and in a corner too."""
    for view, place in product(range(1, 20), (0, 31, 47, 94)):
        for top, left in ((0, place), (94, place), (place, 0), (place, 94)):
            plain = np.zeros((3, 100, 100), np.uint8)
            plain[:, top : top + 6, left : left + 6] = 255
            made = make_view(plain, "safe", view, IMAGE, 0).astype(float)[0]
            made -= np.median(made)
            rows, columns = np.nonzero(made > 100)
            assert len(rows) > 18
            assert abs(rows.mean() - top - 2.5) < 12
            assert abs(columns.mean() - left - 2.5) < 12
