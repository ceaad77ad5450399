"""Cached equals uncached to the last bit, for any images, views and batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.support import TINY, Lab, make_tiny
from transfer_core.data.augment import AUGMENTATIONS, make_view
from transfer_core.data.images import to_pixels
from transfer_core.errors import UserError
from transfer_core.models.activations import ON_THE_FLY, Activations
from transfer_core.models.cache import ActivationCache
from transfer_core.models.prefix import Prefix

CUT = 3
same_lab = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


def make(lab: Lab, stored: int = 2, cache: ActivationCache | None = None, **others: Any) -> Activations:
    about = {"weights": "w", "geometry": "whole", "augment": "turns", "seed": 1} | others
    prefix = Prefix(make_tiny(), CUT, stored, TINY, torch.device("cpu"))
    return Activations(lab.library, lab.manifest.reading, TINY, prefix, cache=cache, **about)


@pytest.fixture
def images(lab: Lab) -> list[str]:
    return sorted(row.image for row in lab.manifest.rows)[:20]


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[ActivationCache]:
    cache = ActivationCache(tmp_path / "cache", 10**9)
    yield cache
    cache.clear()
    assert cache.bytes_used() == 0  # every shelf was given back


RANDOM = ("safe", "strong", "randaugment", "mixup", "cutmix")


@pytest.mark.parametrize(
    ("stored", "augment"), [*product(range(CUT + 1), ("turns", "light")), *product((0, 2), RANDOM)]
)
def test_cached_equals_uncached(
    lab: Lab, images: list[str], cache: ActivationCache, stored: int, augment: str
) -> None:
    about: dict[str, Any] = {"augment": augment, "partners": [images[:12], images[12:]]}
    with make(lab, stored, cache, **about) as cached, make(lab, stored, **about) as bare:
        assert cached.fill(images, 3)

        @same_lab
        @given(st.data())
        def law(data: st.DataObject) -> None:
            order = data.draw(st.permutations(range(len(images))))
            views = data.draw(st.lists(st.integers(0, 2), min_size=20, max_size=20))
            size = data.draw(st.integers(1, 20))
            plan = [
                ([images[n] for n in order[at : at + size]], [views[n] for n in order[at : at + size]])
                for at in range(0, 20, size)
            ]
            for batch, left, right in zip(plan, cached.batches(plan), bare.batches(plan), strict=True):
                assert left.dtype == torch.float32
                assert torch.equal(left, right)
                assert torch.equal(left, bare.at_cut(*batch))

        law()


def test_an_activation_is_the_prefix_of_the_view(lab: Lab, images: list[str]) -> None:
    prefix = Prefix(make_tiny(), CUT, 2, TINY, torch.device("cpu"))
    stored = lab.library.image_path(images[0])
    with Image.open(stored) as opened:
        pixels = to_pixels(opened.convert("RGB"), 32, "pad", "bilinear")
    for view in range(8):
        turned = make_view(pixels, "turns", view, images[0], 1)
        wanted = prefix.from_stored(prefix.to_stored(turned[None]))
        with make(lab, geometry="pad") as activations:
            assert torch.equal(activations.at_cut(images[:1], [view]), wanted)


def test_what_is_stored_is_not_computed_again(
    lab: Lab, images: list[str], cache: ActivationCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make(lab, cache=cache) as activations:
        activations.fill(images[:12], 2)
        first = activations.at_cut(images[:12], [1] * 12)

    def decode(*_: object) -> None:
        raise AssertionError("an image was read again")

    monkeypatch.setattr("transfer_core.models.activations.decode_pixels", decode)
    told: list[tuple[int, int]] = []
    with make(lab, cache=cache) as again:
        assert again.fill(images[:12], 2, progress=lambda *each: bool(told.append(each)) or True)
        assert torch.equal(again.at_cut(images[:12], [1] * 12), first)
        assert not told
        with pytest.raises(AssertionError, match="read again"):
            again.fill(images, 2)


@pytest.mark.parametrize("change", [
    {"geometry": "pad"}, {"weights": "others"}, {"stored": 1}, {"seed": 2}, {"augment": "light"},
], ids=str)  # fmt: skip
def test_what_would_differ_has_a_shelf_of_its_own(
    lab: Lab, images: list[str], cache: ActivationCache, change: dict[str, Any]
) -> None:
    usual: dict[str, Any] = {"augment": "light"} if "seed" in change else {}
    with make(lab, cache=cache, **usual) as first:
        first.fill(images, 2)
        before = len(list(cache.folder.glob("*/rows.bin")))
    with make(lab, cache=cache, **(usual | change)) as second, make(lab, **(usual | change)) as bare:
        second.fill(images, 2)
        assert len(list(cache.folder.glob("*/rows.bin"))) > before
        plan = [1, 0] * 10
        assert torch.equal(second.at_cut(images, plan), bare.at_cut(images, plan))


def test_views_of_another_version_of_a_policy_are_not_read(
    lab: Lab, images: list[str], cache: ActivationCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make(lab, cache=cache, augment="safe") as first:
        first.fill(images, 2)
    before = len(list(cache.folder.glob("*/rows.bin")))
    changed = tuple(replace(each, version=each.version + 1) for each in AUGMENTATIONS)
    monkeypatch.setattr("transfer_core.data.augment.AUGMENTATIONS", changed)
    with make(lab, cache=cache, augment="safe") as second:
        second.fill(images, 2)
    assert len(list(cache.folder.glob("*/rows.bin"))) == before + 1, "the image itself is the same"


def test_the_image_itself_is_stored_once_for_all_policies(
    lab: Lab, images: list[str], cache: ActivationCache
) -> None:
    for augment in ("none", "turns", "light", "flips"):
        with make(lab, cache=cache, augment=augment) as activations:
            activations.fill(images, 1)
    assert len(list(cache.folder.glob("*/rows.bin"))) == 1


def test_another_seed_of_a_symmetry_is_the_same_shelf(
    lab: Lab, images: list[str], cache: ActivationCache
) -> None:
    for seed in (1, 2):
        with make(lab, cache=cache, augment="turns", seed=seed) as activations:
            activations.fill(images, 3)
    assert len(list(cache.folder.glob("*/rows.bin"))) == 3


def test_filling_counts_up_and_stops_when_told(lab: Lab, images: list[str], cache: ActivationCache) -> None:
    told: list[tuple[int, int]] = []
    with make(lab, cache=cache) as activations:
        assert not activations.fill(images, 2, progress=lambda *each: bool(told.append(each)))
        assert told == [(16, 40)]
        assert activations.fill(images, 2, progress=lambda *each: bool(told.append(each)) or True)
        assert told[1:] == [(4, 24), (20, 24), (24, 24)]


@pytest.mark.parametrize("augment", ["turns", "light"])
def test_fresh_views_differ_by_draw_and_image_and_can_be_made_again(
    lab: Lab, images: list[str], cache: ActivationCache, augment: str
) -> None:
    fresh = [ON_THE_FLY] * len(images)
    with make(lab, cache=cache, augment=augment) as cached, make(lab, augment=augment) as bare:
        drawn = [bare.at_cut(images, fresh, draw) for draw in (1, 2, 3)]
        assert all(not torch.equal(a, b) for a, b in pairwise(drawn))
        assert torch.equal(bare.at_cut(images[::-1], fresh, 1), drawn[0].flip(0))
        assert torch.equal(cached.at_cut(images, fresh, 2), drawn[1])
        assert not list(cache.folder.glob("*/rows.bin"))
        mixed = [0, ON_THE_FLY] * 10
        cached.fill(images, 1)
        assert torch.equal(cached.at_cut(images, mixed, 3), bare.at_cut(images, mixed, 3))


def test_a_lost_image_is_told_with_what_to_do(lab: Lab, images: list[str]) -> None:
    lab.library.image_path(images[3]).unlink()
    with make(lab) as activations, pytest.raises(UserError, match="bring the data set again") as refused:
        activations.at_cut(images)
    assert refused.value.kind == "missing-image"


def test_maps_are_kept_in_half_precision_and_vectors_in_full(
    lab: Lab, images: list[str], cache: ActivationCache
) -> None:
    sizes = {}
    for stored in range(CUT + 1):
        with make(lab, stored, cache) as activations:
            activations.fill(images, 1)
        sizes[stored] = cache.clear()
    for stored, stage in enumerate(TINY.stages[:CUT], start=1):
        assert sizes[stored] - sizes[0] == pytest.approx(20 * (2 * np.prod(stage.shape) - 3 * 32**2), abs=300)
