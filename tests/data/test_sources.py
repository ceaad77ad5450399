"""What folders and archives say of their images, and that nothing else gets in."""

from __future__ import annotations

import os
import unicodedata
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import lay_out, pack, png, snapshot

from transfer_core.data import sources
from transfer_core.data.ingest import Candidate
from transfer_core.data.manifest import Problem
from transfer_core.data.sources import arrange, check_inside, list_folders, open_source
from transfer_core.errors import UserError


def place(*names: str) -> dict[str, tuple[str | None, str | None, str | None]]:
    """(label, domain, part) of each file."""
    found, problems = arrange([(name, bytes) for name in names])
    assert not problems
    return {each.path: (each.label, each.domain, each.given) for each in found}


def kinds(problems: Iterable[Problem]) -> dict[str, str]:
    return {each.file: each.kind for each in problems}


def paths(found: Iterable[Candidate]) -> set[str]:
    return {each.path for each in found}


SHAPES = {
    "one image": {"a.png": (None, None, None)},
    "classes": {"cat/1.png": ("cat", None, None), "dog/2.png": ("dog", None, None)},
    "one class": {"cat/1.png": ("cat", None, None), "cat/2.png": ("cat", None, None)},
    "domains": {"a/cat/1.png": ("cat", "a", None), "b/dog/2.png": ("dog", "b", None)},
    "deeper": {"a/x/cat/1.png": ("cat", "a/x", None), "b/dog/2.png": ("dog", "b", None)},
    "parts": {
        "train/cat/1.png": ("cat", None, "train"),
        "Validation/cat/2.png": ("cat", None, "val"),
        "TEST/dog/3.png": ("dog", None, "test"),
    },
    "parts of domains": {
        "a/train/cat/1.png": ("cat", "a", "train"),
        "b/test/dog/2.png": ("dog", "b", "test"),
    },
    "domains of parts": {
        "train/a/cat/1.png": ("cat", "a", "train"),
        "test/b/dog/2.png": ("dog", "b", "test"),
    },
    "unlabelled": {"cat/1.png": ("cat", None, None), "unlabelled/2.png": (None, None, None)},
    "unlabelled part": {"train/cat/1.png": ("cat", None, "train"), "test/2.png": (None, None, "test")},
    "parts alone": {"train/1.png": (None, None, "train"), "test/2.png": (None, None, "test")},
    "classes called like parts": {
        "valid/1.png": ("valid", None, None),
        "broken/2.png": ("broken", None, None),
    },
    "vehicles": {"a/train/1.png": ("train", "a", None), "b/bus/2.png": ("bus", "b", None)},
    "loose image": {"cat/1.png": ("cat", None, None), "2.png": (None, None, None)},
}


@pytest.mark.parametrize("wrapping", ["", "my set/", "./", "a/b/c/"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_folders_say_what_an_image_is(shape: dict[str, tuple[str | None, ...]], wrapping: str) -> None:
    if wrapping not in ("", "./") and not any("/" in name for name in shape):
        return  # the wrapping folder of lone images is their class
    wanted = {wrapping + name: facts for name, facts in shape.items()}
    assert place(*wanted) == wanted
    assert place(*reversed(wanted)) == wanted


def test_one_class_in_two_spellings_of_unicode_is_one() -> None:
    spellings = [unicodedata.normalize(form, "Übergröße") for form in ("NFC", "NFD")]
    assert len(set(spellings)) == 2
    labels = {
        label for label, _, _ in place(*(f"{each}/{n}.png" for n, each in enumerate(spellings))).values()
    }
    assert labels == {spellings[0]}


def test_litter_is_left_out_silently_and_other_files_by_name() -> None:
    litter = ["__MACOSX/cat/._1.png", "cat/._1.png", "cat/.DS_Store", "Thumbs.db", ".ipynb_checkpoints/1.png"]
    found, problems = arrange([(name, bytes) for name in [*litter, "cat/1.PNG", "notes.txt", "inner.zip"]])
    assert paths(found) == {"cat/1.PNG"}
    assert kinds(problems) == {"notes.txt": "wrong-type", "inner.zip": "wrong-type"}


def test_backslashes_part_folders_too() -> None:
    assert place("cat\\1.png", "dog\\2.png")["cat\\1.png"][0] == "cat"


@given(
    st.lists(st.text(st.characters(codec=None), min_size=1, max_size=12), min_size=1, max_size=6, unique=True)
)
def test_any_names_can_be_arranged_and_written(names: list[str]) -> None:
    found, _ = arrange([(f"{name}/1.png", bytes) for name in names])
    for each in found:
        f"{each.path} {each.label} {each.domain}".encode()


def test_a_folder_gives_its_files_and_nothing_from_elsewhere(tmp_path: Path) -> None:
    secret = lay_out(tmp_path / "secret", {"x.png": png(9)})
    folder = lay_out(tmp_path / "set", {"cat/1.png": png(1), "dog/2.png": png(2)})
    (folder / "cat" / "linked.png").symlink_to(secret / "x.png")
    (folder / "elsewhere").symlink_to(secret, target_is_directory=True)
    (folder / "cat" / "dangling.png").symlink_to(tmp_path / "nothing")
    os.mkfifo(folder / "cat" / "pipe.png")
    found, _ = open_source(folder)
    assert {each.path: each.read() for each in found} == {"cat/1.png": png(1), "dog/2.png": png(2)}


def test_a_file_name_that_is_not_text_can_be_read_and_shown(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "set", {os.fsdecode(b"caf\xe9/\xff.png"): png(1)})
    (found,), _ = open_source(folder)
    assert found.read() == png(1)
    assert found.path == "caf?/?.png"
    assert found.label == "caf?"


def test_one_image_is_a_source(tmp_path: Path) -> None:
    lay_out(tmp_path, {"1.png": png(1)})
    (found,), _ = open_source(tmp_path / "1.png")
    assert (found.path, found.label, found.read()) == ("1.png", None, png(1))


def test_a_huge_file_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 1000)
    folder = lay_out(tmp_path / "set", {"cat/1.png": bytes(1001)})
    for place_ in (folder, folder / "cat" / "1.png"):
        (found,), _ = open_source(place_)
        with pytest.raises(UserError) as refused:
            found.read()
        assert refused.value.kind == "too-large"


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_FILES", 2)
    archive = pack(tmp_path / "a.zip", [(f"cat/{n}.png", b"") for n in range(3)])
    with pytest.raises(UserError) as refused:
        open_source(archive)
    assert refused.value.kind == "too-many"


@pytest.mark.parametrize(("name", "data", "kind"), [
    ("a.zip", b"PK\3\4 cut off", "wrong-type"),
    ("a.rar", b"Rar!\x1a\7\0", "wrong-type"),
    ("a.txt", b"", "wrong-type"),
    (None, b"", "no-such-path"),
])  # fmt: skip
def test_other_sources_are_refused(tmp_path: Path, name: str | None, data: bytes, kind: str) -> None:
    if name:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError) as refused:
        open_source(tmp_path / (name or "nothing"))
    assert refused.value.kind == kind


def test_a_zip_is_read_like_the_folder_it_was(tmp_path: Path) -> None:
    files = {"set/cat/1.png": png(1), "set/dog/2.png": png(2)}
    found, problems = open_source(pack(tmp_path / "a.zip", files.items()))
    assert {each.path: each.read() for each in found} == files
    assert [each.label for each in found] == ["cat", "dog"]
    assert not problems


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info


HOSTILE = {
    "../../evil.png": "unsafe-path",
    "cat/../../evil.png": "unsafe-path",
    "/abs/evil.png": "unsafe-path",
    "C:\\evil.png": "unsafe-path",
    "C:/evil.png": "unsafe-path",
    "\\\\host\\evil.png": "unsafe-path",
    "cat\\..\\evil.png": "unsafe-path",
    ".": "unsafe-path",
    "cat/bomb.png": "too-large",
    "cat/secret.png": "encrypted",
    "cat/link.png": "link",
}


def test_hostile_entries_are_refused_one_by_one_and_nothing_is_written(tmp_path: Path) -> None:
    plain = [(name, b"x") for name in HOSTILE if HOSTILE[name] == "unsafe-path"]
    odd = [
        ("cat/bomb.png", bytes(3_000_000)),
        ("cat/secret.png", b"x"),
        (link("cat/link.png"), b"/etc/passwd"),
    ]
    good = [("cat/1.png", png(1)), ("a:b/2.png", png(2))]
    archive = pack(tmp_path / "a.zip", [*plain, *odd, *good])
    encrypt(archive, "cat/secret.png")
    before = snapshot(tmp_path)
    found, problems = open_source(archive)
    assert kinds(problems) == HOSTILE
    assert {each.path: each.read() for each in found} == dict(good)
    assert snapshot(tmp_path) == before


def encrypt(archive: Path, name: str) -> None:
    """Set the flag of an encrypted entry in the list of entries."""
    data = bytearray(archive.read_bytes())
    at = data.rindex(name.encode()) - 46
    assert data[at : at + 4] == b"PK\1\2"
    data[at + 8] |= 1
    archive.write_bytes(data)


def test_entries_without_a_name_are_refused(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", [("cat/1.png", png(1)), ("QQ", b"x")])
    archive.write_bytes(archive.read_bytes().replace(b"QQ", b"\0Q"))
    found, problems = open_source(archive)
    assert paths(found) == {"cat/1.png"}
    assert kinds(problems) == {"": "unsafe-path"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_two_entries_with_one_name_the_second_is_refused(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", [("cat/1.png", png(1)), ("cat/1.png", png(2))])
    (found,), problems = open_source(archive)
    assert found.read() == png(1)
    assert kinds(problems) == {"cat/1.png": "double-name"}


@pytest.mark.parametrize("change", [b"\0\0\0\0\0\0\0\0", b"\xff\xff\xff\xff\xff\xff\xff\xff"])
@pytest.mark.parametrize(
    "packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_damaged_entry_spoils_no_other(tmp_path: Path, packing: int, change: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", packing) as archive:
        archive.writestr("cat/1.png", png(1))
        archive.writestr("cat/2.png", png(2))
    data = bytearray((tmp_path / "a.zip").read_bytes())
    at = data.index(b"cat/1.png") + 60
    data[at : at + 8] = change
    (tmp_path / "a.zip").write_bytes(data)
    (bad, good), _ = open_source(tmp_path / "a.zip")
    with pytest.raises(UserError) as refused:
        bad.read()
    assert refused.value.kind == "damaged"
    assert good.read() == png(2)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("packed")
    return pack(folder / "a.zip", [("cät/1.png", png(1)), ("dog/2.png", png(2))]).read_bytes()


@settings(max_examples=300)
@given(changes=st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=4)), max_size=3), cut=st.integers(0, 60))  # fmt: skip
def test_a_damaged_zip_gives_true_files_or_refusals(
    packed: bytes, tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, bytes]], cut: int
) -> None:
    """Damage goes to the list of entries at the end, where it can do most."""
    data = bytearray(packed[: len(packed) - cut])
    for back, change in changes:
        at = max(0, len(data) - 1 - back)
        data[at : at + len(change)] = change
    archive = tmp_path_factory.getbasetemp() / "damaged.zip"
    archive.write_bytes(data)
    with suppress(UserError):
        found, _ = open_source(archive)
        for each in found:
            with suppress(UserError):
                assert each.read() in (png(1), png(2), b"")


def test_only_folders_below_the_named_ones_may_be_read(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "set", outside):
        folder.mkdir(parents=True)
    (root / "leads out").symlink_to(outside)
    (root / "file.txt").touch()
    assert list_folders([root, tmp_path / "nowhere"]) == [root / "set"]
    check_inside(root / "set", [root])
    for path in (outside, root, root / "leads out", root / "set" / ".." / ".." / "outside", Path("/etc")):
        with pytest.raises(UserError) as refused:
            check_inside(path, [root])
        assert refused.value.kind == "outside"
    with pytest.raises(UserError):
        check_inside(root / "set", [])
