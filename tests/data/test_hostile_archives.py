"""Archives that are broken, lie or reach out: each told in a sentence, what is good is kept, nothing outside is touched."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from pictures import GOOD, pack, png

from transfer_core.data.sources import open_source
from transfer_core.errors import UserError


@pytest.mark.parametrize("name", ["../../evil.txt", "../evil.png", "a/../../evil.png"])
def test_01_an_entry_above_the_archive(bring, name: str) -> None:
    assert bring((name, png(1)))[1][name] == "unsafe-path"


@pytest.mark.parametrize("name", ["/abs/x.png", "C:\\x.png", "a\\..\\b.png", "\\\\host\\share\\x.png"])
def test_02_an_entry_with_a_path_of_its_own(bring, name: str) -> None:
    assert bring((name, png(1)))[1][name] == "unsafe-path"


def test_03_a_link(bring) -> None:
    link = zipfile.ZipInfo("a/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert bring((link, b"/etc/passwd"))[1] == {"a/link.png": "link"}


def test_04_a_bomb(bring) -> None:
    assert bring(("a/bomb.png", bytes(50_000_000)))[1] == {"a/bomb.png": "too-large"}


def test_05_a_size_that_lies(bring) -> None:
    def lie(data: bytes) -> bytes:
        at = data.rindex(b"PK\x01\x02")  # the entry of the directory; 24 bytes on stands the unpacked size
        return data[: at + 24] + struct.pack("<I", 10) + data[at + 28 :]

    _, told = bring(("a/liar.png", png(77)), change=lie)
    assert told["a/liar.png"] == "damaged"


def test_06_a_zip_in_a_zip(bring) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a/hidden.png", png(1))
    manifest, told = bring(("a/inner.zip", inner.getvalue()))
    assert told == {"a/inner.zip": "wrong-type"}
    assert len(manifest.rows) == len(GOOD)


def test_07_too_many_entries(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transfer_core.data.sources.MAX_FILES", 7)
    with pytest.raises(UserError, match="in parts"):
        open_source(pack(tmp_path / "many.zip", GOOD))


def test_08_a_password(bring) -> None:
    def encrypt(data: bytes) -> bytes:  # bit 0 of the flags, in both headers of the entry
        at = data.rindex(b"PK\x01\x02")
        return data[: at + 8] + b"\x01" + data[at + 9 :]

    assert bring(("a/secret.png", png(1)), change=encrypt)[1] == {"a/secret.png": "encrypted"}


def test_09_an_archive_that_was_cut(tmp_path: Path) -> None:
    path = pack(tmp_path / "cut.zip", GOOD)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match="complete zip"):
        open_source(path)


def test_10_one_broken_entry(bring) -> None:
    def spoil(data: bytes) -> bytes:
        at = data.index(b"spoilt.png") + 200
        return data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :]

    assert bring(("a/spoilt.png", png(5)), change=spoil)[1] == {"a/spoilt.png": "damaged"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_11_a_name_twice(bring) -> None:
    manifest, told = bring(("a/twice.png", png(5)), ("a/twice.png", png(6)))
    assert told == {"a/twice.png": "double-name"}
    assert len(manifest.rows) == len(GOOD) + 1


def test_12_names_of_another_code_page(bring) -> None:
    entry = zipfile.ZipInfo("a/gr\u00fc\u00df.png")
    manifest, told = bring((entry, png(5)))
    assert not told
    assert len(manifest.rows) == len(GOOD) + 1


def test_13_one_class_in_two_spellings_of_unicode(bring) -> None:
    manifest, _ = bring(*[(f"caf{accent}/{n}.png", png(50 + 10 * n + len(accent))) for accent in ("\u00e9", "e\u0301") for n in range(4)])  # fmt: skip
    assert manifest.class_counts["caf\u00e9"] == 8


def test_14_one_class_in_two_cases(bring) -> None:
    _, told = bring(*[(f"{name}/{n}.png", png(60 + n + 10 * len(name) + ord(name[0]))) for name in ("OK", "ok") for n in range(4)])  # fmt: skip
    assert "similar-classes" in told.values()


@pytest.mark.parametrize("label", ["CON", "NUL", "a:b", "end.", "end "])
def test_15_names_that_some_systems_cannot_have(bring, label: str) -> None:
    manifest, _ = bring(*[(f"{label}/{n}.png", png(200 + n)) for n in range(4)])
    assert label in manifest.classes


def test_16_what_systems_leave_behind(bring) -> None:
    names = (
        "__MACOSX/a/._x.png",
        "a/._x.jpg",
        "a/.DS_Store",
        "a/Thumbs.db",
        ".ipynb_checkpoints/x.png",
        "desktop.ini",
    )
    manifest, told = bring(*[(name, b"junk") for name in names])
    assert not told
    assert manifest.classes == ("a", "b")


def test_17_a_picture_that_is_an_archive_too(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "both.png"
    path.write_bytes(png(1) + pack(tmp_path / "z.zip", GOOD).read_bytes())
    candidates, _ = open_source(path)
    assert [each.path for each in candidates] == ["both.png"]  # what its name says, and nothing else


@pytest.mark.parametrize(
    "head", [b"Rar!\x1a\x07\x01\0", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b\x08\0", b"ustar" * 60]
)
def test_18_another_kind_of_archive(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "set.rar"
    path.write_bytes(head + bytes(500))
    with pytest.raises(UserError, match=r"\.zip"):
        open_source(path)
