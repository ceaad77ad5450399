"""The shelves: no row without its name is ever read, nobody's shelf is taken away, nothing forgotten stays."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import TINY
from transfer_core.models.backbones import BACKBONES, Backbone
from transfer_core.models.cache import ActivationCache, Shelf, ShelfKey, choose_stored

KEY = ShelfKey("reading", "whole", 32, "weights", "engine", "float16", 1, (3, 5), "0")
GROW = """
import sys
from pathlib import Path
import numpy as np
from transfer_core.models.cache import ActivationCache, ShelfKey
folder, start = Path(sys.argv[1]), int(sys.argv[2])
key = ShelfKey("reading", "whole", 32, "weights", "engine", "float16", 1, (3, 5), "0")
with ActivationCache(folder, 10**9).open(key) as shelf:
    print("open", flush=True)
    sys.stdin.readline()
    for at in range(start, start + 60, 3):
        numbers = np.arange(at, at + 3)
        shelf.append([f"{n:064x}" for n in numbers], np.ones((3, 3, 5)) * numbers[:, None, None])
    print("done", flush=True)
    sys.stdin.readline()
"""


def name(number: int) -> str:
    return f"{number:064x}"


def fill(shelf: Shelf, *numbers: int) -> None:
    """Rows that hold their image's number."""
    rows = np.ones((len(numbers), 3, 5)) * np.array(numbers)[:, None, None]
    shelf.append([name(each) for each in numbers], rows)


def numbers(shelf: Shelf, *wanted: int) -> list[int]:
    """What rows hold, each checked to hold one number throughout."""
    rows = shelf.read([name(each) for each in wanted])
    assert rows.dtype == np.float16
    assert (rows == rows[:, :1, :1]).all()
    return [int(row[0, 0]) for row in rows]


@pytest.fixture
def cache(tmp_path: Path) -> ActivationCache:
    return ActivationCache(tmp_path / "cache", 10**9)


def grow(cache: ActivationCache, start: int) -> subprocess.Popen[str]:
    """Another process that holds the shelf, and adds 60 rows when told to."""
    command = [sys.executable, "-c", GROW, str(cache.folder), str(start)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "open\n"
    return process


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()


@given(order=st.lists(st.integers(0, 30), min_size=1, max_size=40), size=st.integers(1, 7))
def test_what_is_written_is_read_by_any_handle_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], size: int
) -> None:
    cache = ActivationCache(tmp_path_factory.mktemp("cache"), 10**9)
    with cache.open(KEY) as first, cache.open(KEY) as second:
        for number, at in enumerate(range(0, len(order), size)):
            fill((first, second)[number % 2], *order[at : at + size])
        for shelf in (first, second):
            shelf.refresh()
            assert shelf.missing([name(each) for each in order]) == []
            assert numbers(shelf, *order) == order
        assert (cache.folder / KEY.id / "rows.bin").stat().st_size == len(set(order)) * KEY.row_bytes
    with cache.open(KEY) as later:
        assert numbers(later, *reversed(order)) == order[::-1]
        assert later.missing([name(99), name(order[0]), name(99)]) == [name(99)]


def test_a_row_that_is_there_stays(cache: ActivationCache) -> None:
    with cache.open(KEY) as first, cache.open(KEY) as second:
        fill(first, 1, 2)
        second.append([name(2), name(3)], np.full((2, 3, 5), 77.0))
        assert numbers(second, 1, 2, 3) == [1, 2, 77]


@pytest.mark.parametrize("rows", [0, 1, 7, 30, 45])
@pytest.mark.parametrize("letters", [0, 1, 30, 64])
def test_a_crash_while_writing_loses_only_what_was_being_written(
    cache: ActivationCache, rows: int, letters: int
) -> None:
    """Bytes of rows without a name, and a name without its end."""
    with cache.open(KEY) as shelf:
        fill(shelf, 1, 2, 3)
    folder = cache.folder / KEY.id
    with (folder / "rows.bin").open("ab") as out:
        out.write(b"\xff" * rows)
    with (folder / "images.txt").open("ab") as out:
        out.write(name(4).encode()[:letters])
    with cache.open(KEY) as early, cache.open(KEY) as shelf:
        assert shelf.missing([name(each) for each in (1, 2, 3, 4, 5)]) == [name(4), name(5)]
        fill(shelf, 4, 5)
        assert numbers(shelf, 5, 4, 3, 2, 1) == [5, 4, 3, 2, 1]
        early.refresh()
        assert numbers(early, 1, 5) == [1, 5]
    with cache.open(KEY) as later:
        assert numbers(later, 1, 2, 3, 4, 5) == [1, 2, 3, 4, 5]


def test_rows_are_on_disk_before_their_names(cache: ActivationCache, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [cache.folder / KEY.id / each for each in ("rows.bin", "images.txt")]
    seen = []

    def fsync(handle: int) -> None:
        """Note which file is synced, and the sizes of both."""
        stats = [path.stat() if path.exists() else None for path in files]
        which = [each is not None and each.st_ino == os.fstat(handle).st_ino for each in stats]
        seen.append((which, [each.st_size if each else 0 for each in stats]))

    with cache.open(KEY) as shelf:
        monkeypatch.setattr(os, "fsync", fsync)
        fill(shelf, 1, 2)
    rows = 2 * KEY.row_bytes
    assert seen == [([True, False], [rows, 0]), ([False, True], [rows, 2 * 65])]


def test_two_processes_may_fill_one_shelf(cache: ActivationCache) -> None:
    """Each adds 60 rows, 30 of them the same."""
    processes = [grow(cache, 0), grow(cache, 30)]
    for process in processes:
        tell(process)
    for process in processes:
        process.communicate("go\n", timeout=60)
        assert process.returncode == 0
    with cache.open(KEY) as shelf:
        assert numbers(shelf, *range(90)) == list(range(90))
    lines = (cache.folder / KEY.id / "images.txt").read_text().splitlines()
    assert sorted(lines) == [name(each) for each in range(90)]


def test_every_part_of_a_key_decides() -> None:
    other = {"size": 33, "stage": 2, "shape": (5, 3), "dtype": "float32"}
    changed = [replace(KEY, **{part: other.get(part, "other")}) for part in asdict(KEY)]
    assert len({each.id for each in [KEY, *changed]}) == len(changed) + 1


def shelves(cache: ActivationCache, number: int) -> list[ShelfKey]:
    """Shelves of equal size, the last used first."""
    keys = [replace(KEY, view=str(each)) for each in range(number)]
    for age, key in enumerate(keys):
        with cache.open(key) as shelf:
            fill(shelf, 1, 2, 3)
        os.utime(cache.folder / key.id / "key.json", (1e9 - age, 1e9 - age))
    return keys


def stands(cache: ActivationCache, keys: list[ShelfKey]) -> list[bool]:
    return [(cache.folder / key.id / "key.json").exists() for key in keys]


def test_the_least_recently_used_go_first_and_only_as_many_as_needed(cache: ActivationCache) -> None:
    keys = shelves(cache, 4)
    cache.budget = used = cache.bytes_used()
    assert cache.make_room(0) == 0
    freed = cache.make_room(1)
    assert stands(cache, keys) == [True, True, True, False]
    assert freed == used - cache.bytes_used() > 0
    cache.make_room(used // 2)
    assert stands(cache, keys) == [True, True, False, False]


def test_use_is_what_counts(cache: ActivationCache) -> None:
    keys = shelves(cache, 3)
    cache.open(keys[2]).close()
    cache.budget = cache.bytes_used()
    cache.make_room(1)
    assert stands(cache, keys) == [True, False, True]


def test_a_shelf_in_use_is_never_taken_away(cache: ActivationCache) -> None:
    keys = shelves(cache, 3)
    with cache.open(keys[1]) as shelf:
        cache.budget = 0
        cache.make_room(10**9)
        ActivationCache(cache.folder).clear()
        assert stands(cache, keys) == [False, True, False]
        fill(shelf, 4)
        assert numbers(shelf, 1, 2, 3, 4) == [1, 2, 3, 4]
    assert cache.clear() > 0
    assert cache.bytes_used() == 0


def test_the_hold_of_a_killed_process_holds_nothing(cache: ActivationCache) -> None:
    process = grow(cache, 0)
    try:
        assert cache.clear() == 0
    finally:
        process.kill()
        process.communicate()
    assert cache.clear() > 0
    assert stands(cache, [KEY]) == [False]


def test_an_eviction_that_was_killed_is_finished_by_the_next(cache: ActivationCache) -> None:
    (key,) = shelves(cache, 1)
    (cache.folder / key.id).rename(cache.folder / f".{key.id}.1.gone")
    with cache.open(key) as shelf:
        assert shelf.missing([name(1)]) == [name(1)]
    cache.clear()
    assert cache.bytes_used() == 0


@pytest.mark.parametrize("held", [False, True])
def test_what_is_forgotten_is_gone_from_the_disk(cache: ActivationCache, held: bool) -> None:
    other = replace(KEY, view="1")
    with cache.open(other) as untouched, cache.open(KEY) as shelf:
        fill(untouched, 7)
        fill(shelf, 1, 999, 2, 998)
        assert numbers(shelf, 999) == [999]
        if not held:
            shelf.close()
        cache.forget([name(999), name(998), name(12345)])
        secret = np.full(15, 999, np.float16).tobytes()
        for path in cache.folder.rglob("*"):
            if path.is_file():
                assert secret not in path.read_bytes()
                assert name(999).encode() not in path.read_bytes()
        assert numbers(untouched, 7) == [7]
        if held:  # by a run on another data set, which notices nothing
            fill(shelf, 3)
            assert numbers(shelf, 1, 2, 3) == [1, 2, 3]
            with cache.open(KEY) as later:
                assert later.missing([name(999), name(2)]) == [name(999)]
                fill(later, 4)
                assert numbers(later, 1, 2, 3, 4) == [1, 2, 3, 4]


def test_the_usual_budget_is_a_share_of_the_free_disk_with_the_cache_counted_as_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transfer_core.models.cache.free_bytes", lambda _: 9000)
    (tmp_path / "x").write_bytes(bytes(1000))
    assert ActivationCache(tmp_path).budget == 2000
    monkeypatch.setattr("transfer_core.models.cache.free_bytes", lambda _: 10**15)
    assert ActivationCache(tmp_path).budget == 20 * 10**9


def row_bytes(backbone: Backbone, stored: int) -> int:
    shape = backbone.stages[stored - 1].shape
    return int(np.prod(shape)) * (4 if len(shape) == 1 else 2)


@given(backbone=st.sampled_from([*BACKBONES, TINY]), rows=st.integers(1, 10**6), budget=st.integers(0, 10**12), data=st.data())  # fmt: skip
def test_the_stage_that_is_kept(backbone: Backbone, rows: int, budget: int, data: st.DataObject) -> None:
    """It lies before the cut and fits; more budget, fewer rows or a deeper cut never make it shallower."""
    cut = data.draw(st.integers(0, len(backbone.stages)))
    stored = choose_stored(backbone, cut, rows, budget)
    assert 0 <= stored <= cut
    assert stored == 0 or rows * row_bytes(backbone, stored) <= budget
    assert choose_stored(backbone, cut, rows, 2 * budget) >= stored
    assert choose_stored(backbone, cut, max(1, rows // 2), budget) >= stored
    assert choose_stored(backbone, min(cut + 1, len(backbone.stages)), rows, budget) >= stored
    assert choose_stored(backbone, cut, rows, 0) == 0


@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda each: each.key)
def test_features_are_kept_whenever_nothing_of_the_backbone_trains(backbone: Backbone) -> None:
    cut = len(backbone.stages)
    assert choose_stored(backbone, cut, 1000, 10**9) == cut
