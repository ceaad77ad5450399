"""Every image once an epoch, every stored view once a round, and no batch too small to normalise."""

from __future__ import annotations

from collections import Counter
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from transfer_core.data.batches import make_batches

some = st.integers(1, 70)
sizes = st.integers(2, 20)
kinds = st.integers(0, 8)
seeds = st.integers(0, 2**31 - 1)


def names(n: int) -> list[str]:
    return [f"image {each}" for each in range(n)]


@given(n=some, size=sizes, views=kinds, seed=seeds, epoch=st.integers(0, 100))
def test_every_image_is_seen_once_an_epoch(n: int, size: int, views: int, seed: int, epoch: int) -> None:
    batches = make_batches(names(n), size, views, seed=seed, epoch=epoch)
    assert sorted(chain(*(images for images, _ in batches))) == sorted(names(n))
    assert all(len(images) == len(seen) for images, seen in batches)
    assert batches == make_batches(names(n), size, views, seed=seed, epoch=epoch)


@given(n=st.integers(2, 70), size=sizes, views=kinds, seed=seeds)
def test_batches_have_their_size_and_none_has_one_image(n: int, size: int, views: int, seed: int) -> None:
    lengths = [len(images) for images, _ in make_batches(names(n), size, views, seed=seed, epoch=1)]
    assert all(length == size for length in lengths[:-1])
    assert 2 <= lengths[-1] <= size + 1


@given(n=some, size=sizes, views=st.integers(1, 8), seed=seeds, first=st.integers(0, 20))
def test_over_as_many_epochs_as_views_each_is_seen_once(
    n: int, size: int, views: int, seed: int, first: int
) -> None:
    seen = Counter(
        pair
        for epoch in range(first, first + views)
        for images, numbers in make_batches(names(n), size, views, seed=seed, epoch=epoch)
        for pair in zip(images, numbers, strict=True)
    )
    assert seen == Counter((name, view) for name in names(n) for view in range(views))


@given(n=some, size=sizes, seed=seeds)
def test_without_stored_views_each_is_fresh(n: int, size: int, seed: int) -> None:
    assert {view for _, seen in make_batches(names(n), size, 0, seed=seed, epoch=1) for view in seen} == {-1}


@given(n=st.integers(40, 70), size=sizes, views=st.integers(2, 8), seed=seeds)
def test_epochs_and_seeds_shuffle_and_mix_the_views(n: int, size: int, views: int, seed: int) -> None:
    def order(seed: int, epoch: int) -> tuple[str, ...]:
        batches = make_batches(names(n), size, views, seed=seed, epoch=epoch)
        return tuple(chain(*(images for images, _ in batches)))

    assert len({order(seed + more, epoch) for more in (0, 1) for epoch in (1, 2, 3)}) == 6
    assert (
        len({view for _, seen in make_batches(names(n), size, views, seed=seed, epoch=1) for view in seen})
        > 1
    )
