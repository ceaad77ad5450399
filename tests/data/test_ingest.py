"""From files to a stored data set: its identity, its problems, and what stays untouched."""

from __future__ import annotations

import errno
import math
import os
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pictures import FILES, bring_files, empty_png, encode, lay_out, noise, pack, png, snapshot
from PIL import Image

from transfer_core.data.images import decode, hash_pixels
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.library import Library
from transfer_core.data.manifest import Problem
from transfer_core.data.sources import open_source
from transfer_core.errors import UserError

pytestmark = pytest.mark.usefixtures("_quick")


def test_a_data_set_holds_the_very_bytes_and_what_is_known_of_them(library: Library) -> None:
    manifest, problems = bring_files(library, FILES)
    assert not problems
    assert library.get(manifest.id) == manifest
    assert manifest.class_counts == {"crack": 8, "sound": 8}
    assert manifest.domains == {"north": 8, "south": 8}
    for row in manifest.rows:
        image = decode(FILES[row.path], manifest.reading)
        assert library.image_path(row.image).read_bytes() == FILES[row.path]
        assert library.thumb_path(row.image).exists()
        assert (row.width, row.height) == image.size
        assert row.pixels == hash_pixels(image)
        assert row.path == f"{row.domain}/{row.label}/{row.path[-5:]}"


DOUBLED = FILES | {
    "south/crack/again.png": FILES["north/crack/1.png"],
    "loose.png": FILES["north/crack/2.png"],
}


@pytest.mark.parametrize("files", [FILES, DOUBLED], ids=["all different", "doubled"])
@pytest.mark.parametrize("seed", range(3))
def test_the_same_files_in_any_order_and_by_any_name_are_the_same_data_set(
    library: Library, files: dict[str, bytes], seed: int
) -> None:
    first, _ = bring_files(library, files)
    shuffled = random.Random(seed).sample(list(files.items()), len(files))
    again, _ = bring_files(library, dict(shuffled), "another name")
    assert (again.id, again.name) == (first.id, "set")  # it is what it was, and called so
    assert [each.name for each in library.datasets()] == ["set"]


def test_folder_and_zip_give_the_same_data_set(library: Library, tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "set", FILES)
    archive = pack(tmp_path / "set.zip", reversed(FILES.items()))
    ids = {ingest(open_source(each)[0], "set", library)[0].id for each in (folder, archive)}
    assert len(ids) == 1


@pytest.mark.parametrize("change", [
    lambda files: files | {"north/crack/0.png": png(7777)},
    lambda files: {k: v for k, v in files.items() if k != "north/crack/0.png"},
    lambda files: {k.replace("crack", "scratch"): v for k, v in files.items()},
    lambda files: {k.replace("north", "west"): v for k, v in files.items()},
])  # fmt: skip
def test_any_other_content_is_another_data_set(
    library: Library, change: Callable[[dict[str, bytes]], dict[str, bytes]]
) -> None:
    assert bring_files(library, FILES)[0].id != bring_files(library, change(FILES))[0].id


@pytest.mark.parametrize(
    ("files", "begins"),
    [
        ({"set/notes.txt": b"x", "set/readme.md": b"y"}, "There is no image in set, only set/notes.txt"),
        ({"a/torn.png": png(1)[:300]}, "No image in set can be used. The first problem: a/torn.png"),
        ({}, "set holds no files"),
    ],
)
def test_where_nothing_can_be_used_the_cause_comes_first(
    library: Library, files: dict[str, bytes], begins: str
) -> None:
    with pytest.raises(UserError) as refused:
        bring_files(library, files)
    assert str(refused.value).startswith(begins)
    assert refused.value.kind == "no-images"


def test_of_a_locked_zip_the_lock_is_told_first(library: Library) -> None:
    locked = [
        Problem(f"a/{n}.png", "encrypted", "the entry is encrypted; remove the password") for n in range(3)
    ]
    with pytest.raises(UserError, match=r"^set is locked with a password"):
        ingest([], "set", library, problems=locked)


def test_what_cannot_be_used_is_told_and_the_rest_goes_on(library: Library) -> None:
    def gone() -> bytes:
        raise FileNotFoundError(errno.ENOENT, "No such file")

    bad = {
        "crack/empty.png": (b"", "empty"),
        "crack/page.jpg": (b"<html><script>alert(1)</script></html>", "wrong-type"),
        "crack/drawing.png": (b"<svg onload='alert(1)'/>", "wrong-type"),
        "crack/cut.png": (png(1)[:500], "damaged"),
        "crack/dot.png": (encode(Image.new("RGB", (1, 1))), "too-small"),
        "crack/thread.png": (encode(Image.new("RGB", (50_000, 1))), "too-small"),
        "crack/giant.png": (empty_png(20_000, 20_000), "too-large"),
        "crack/nothing.tif": (encode(Image.new("F", (20, 20), math.nan), "TIFF"), "damaged"),
    }
    good = [Candidate(f"{label}/{n}.png", lambda s=10 * i + n: png(s), label) for i, label in enumerate("ab") for n in range(4)]  # fmt: skip
    candidates = [Candidate(path, lambda data=data: data, "a") for path, (data, _) in bad.items()]
    candidates.insert(3, Candidate("crack/gone.png", gone, "a"))
    manifest, problems = ingest([*candidates, *good], "set", library)
    wanted = {path: kind for path, (_, kind) in bad.items()} | {"crack/gone.png": "unreadable"}
    assert {each.file: each.kind for each in problems} == wanted
    assert {row.path for row in manifest.rows} == {each.path for each in good}
    assert library.about(manifest.id).problems == tuple(problems)
    stored = [each for each in (library.home / "images").rglob("*") if each.is_file()]
    assert len(stored) == len(good)


@pytest.mark.parametrize(("files", "wanted"), [
    ({f"only/{n}.png": png(n) for n in range(4)}, {("only", "one-class")}),
    ({f"{n}.png": png(n) for n in range(4)}, {("", "no-labels")}),
    ({f"a/{n}.png": png(n) for n in range(4)} | {"b/9.png": png(9)}, {("b", "small-class")}),
    ({f"{c}/{n}{c}.png": png(10 * ord(c[0]) + n) for c in ("OK", "ok") for n in range(4)}, {("OK", "similar-classes")}),
])  # fmt: skip
def test_doubtful_classes_are_told(
    library: Library, files: dict[str, bytes], wanted: set[tuple[str, str]]
) -> None:
    manifest, problems = bring_files(library, files)
    assert {(each.file, each.kind) for each in problems} == wanted
    assert library.get(manifest.id) == manifest


@pytest.mark.parametrize("files", [{}, {"a/1.png": b"no image"}, {"a/1.txt": b""}])
def test_nothing_usable_is_an_error_and_leaves_no_data_set(library: Library, files: dict[str, bytes]) -> None:
    with pytest.raises(UserError) as refused:
        bring_files(library, files)
    assert refused.value.kind == "no-images"
    assert library.datasets() == []


def test_progress_counts_every_file_once(library: Library) -> None:
    candidates = [
        Candidate(f"{n}.png", lambda n=n: png(n) if n % 7 else b"bad", "ab"[n % 2]) for n in range(70)
    ]
    told: list[tuple[int, int]] = []
    ingest(candidates, "set", library, progress=lambda *each: told.append(each))
    assert told == [(n, 70) for n in range(1, 71)]


def test_only_the_home_folder_is_written_to(library: Library, tmp_path: Path) -> None:
    files = {"cat/../../evil.png": png(1), "../x/1.png": png(2), "a\0b/1.png": png(3), "CON/1.png": png(4), f"{'x' * 300}/1.png": png(5)}  # fmt: skip
    ingest(
        [Candidate(path, lambda data=data: data, path) for path, data in files.items()], "../../up", library
    )
    assert {each.relative_to(tmp_path).parts[0] for each in tmp_path.rglob("*")} == {"home"}
    names = [each.name for each in library.home.rglob("*") if each.is_file()]
    assert all(
        set(Path(name).stem) <= set("0123456789abcdef") or name.endswith((".json", ".lock")) for name in names
    )


@pytest.mark.parametrize("after", [0, 5, 20, 33])
def test_a_full_disk_is_told_and_earlier_data_sets_stay_whole(
    library: Library, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """16 images and thumbnails, the manifest and its description: full at one of these."""
    earlier, _ = bring_files(
        library, {f"{c}/{n}.png": png(500 + 10 * ord(c) + n) for c in "ab" for n in range(4)}
    )
    before = snapshot(library.home)
    real, calls = Path.replace, [0]

    def replace(self: Path, target: Path) -> Path:
        calls[0] += 1
        if calls[0] > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(UserError) as refused:
        bring_files(library, FILES)
    assert refused.value.kind == "disk-full"
    monkeypatch.undo()
    now = snapshot(library.home)
    assert before.items() <= now.items()
    assert not [name for name in now if name.endswith(".part")]
    assert [each.id for each in library.datasets()] == [earlier.id]
    assert library.get(earlier.id) == earlier
    assert len(bring_files(library, FILES)[0].rows) == len(FILES)


def test_deleting_removes_exactly_what_no_other_data_set_holds(library: Library) -> None:
    small = dict(list(FILES.items())[:10])
    other = dict(list(FILES.items())[6:])
    kept, doomed = bring_files(library, other)[0], bring_files(library, small)[0]
    alone, _ = bring_files(Library(library.home / "twin"), other)
    bytes_before = sum(each.stat().st_size for each in library.home.rglob("*") if each.is_file())
    freed, images = library.delete(doomed.id)
    assert set(images) == {row.image for row in doomed.rows} - {row.image for row in kept.rows}
    assert freed == bytes_before - sum(
        each.stat().st_size for each in library.home.rglob("*") if each.is_file()
    )
    for folder in ("images", "thumbs"):
        left, twin = snapshot(library.home / folder), snapshot(library.home / "twin" / folder)
        assert {k: v for k, v in left.items() if v} == {k: v for k, v in twin.items() if v}
    assert [each.id for each in library.datasets()] == [alone.id]
    with pytest.raises(UserError):
        library.get(doomed.id)


@pytest.mark.parametrize("ref", ["", "..", "../../etc", "a" * 500_000, "<script>", "0" * 16, "\0"])
def test_an_unknown_data_set_is_said_to_be_unknown(library: Library, ref: str) -> None:
    for look in (library.get, library.about, library.find, library.delete):
        with pytest.raises(UserError) as refused:
            look(ref)
        assert refused.value.kind == "no-data"


def test_a_data_set_is_found_by_id_beginning_or_name(library: Library) -> None:
    first, _ = bring_files(library, FILES, "Solar")
    second, _ = bring_files(library, dict(list(FILES.items())[:9]), "Twice")
    third, _ = bring_files(library, dict(list(FILES.items())[:8]), "Twice")
    library.rename(third.id, "Twice")
    assert library.find(first.id).id == library.find(first.id[:6]).id == library.find("Solar").id == first.id
    with pytest.raises(UserError, match="more of the id") as refused:
        library.find("Twice")
    assert {second.id, third.id} <= set(str(refused.value).replace(",", " ").replace(":", " ").split())
    library.rename(third.id, "Solo")
    assert library.find("Twice").id == second.id
    assert library.get(third.id) == third


def test_the_stored_thumbnail_shows_the_image(library: Library) -> None:
    image = noise(1, 6, 6).resize((400, 300), Image.Resampling.BICUBIC)
    manifest, _ = bring_files(library, FILES | {"north/crack/big.png": encode(image)})
    row = next(row for row in manifest.rows if row.path.endswith("big.png"))
    with Image.open(library.thumb_path(row.image)) as shown:
        assert shown.size == (192, 144)
        difference = np.abs(np.asarray(shown, float) - np.asarray(image.resize(shown.size), float))
    assert difference.mean() < 6


def test_what_is_added_takes_nothing_from_what_was_known(library: Library) -> None:
    """The same files under a path that sorts before, and without their groups: the groups and paths stay."""
    old = [Candidate(f"m/{n}.png", partial(png, n), "ab"[n % 2], group=f"p{n // 4}") for n in range(16)]
    before, _ = ingest(old, "Cells", library)
    more = [Candidate(f"a/{n}.png", partial(png, n), "ab"[n % 2], "north") for n in range(20)]
    after, _ = ingest(more, "Cells, version 2", library, parent=before)
    known = {row.image: row for row in before.rows}
    assert len(after.rows) == 20
    for row in after.rows:
        assert row.domain == "north"
        if row.image in known:
            assert (row.path, row.group) == (known[row.image].path, known[row.image].group)


def test_an_image_that_is_deleted_while_others_are_read_is_told(library: Library) -> None:
    first, _ = ingest([Candidate(f"{n}.png", partial(png, n), "ab"[n % 2]) for n in range(8)], "One", library)

    def progress(done: int, _: int) -> None:
        if done == 10:
            library.delete(first.id)

    files = [Candidate(f"{n}.png", partial(png, n), "ab"[n % 2]) for n in range(10)]
    manifest, problems = ingest(files, "Two", library, progress=progress)
    assert all(library.image_path(row.image).exists() for row in manifest.rows)
    assert len(manifest.rows) + len([each for each in problems if each.kind == "gone"]) == 10
