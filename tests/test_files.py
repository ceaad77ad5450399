"""Whatever happens while a file is written, it is the old one or the whole new one."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer_core import files
from transfer_core.errors import UserError
from transfer_core.files import (
    atomic_path,
    folder_bytes,
    get_home,
    is_id,
    private_files,
    read_json,
    sweep_parts,
    usual_files,
    write_bytes,
    write_json,
)

WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from transfer_core.files import atomic_path
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] != "write":
    setattr(*{"sync": (os, "fsync"), "rename": (Path, "replace")}[sys.argv[2]], die)
with atomic_path(Path(sys.argv[1])) as part:
    with part.open("wb") as out:
        out.write(b"new" * 1000)
        out.flush()
        if sys.argv[2] == "write":
            die()
"""


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.rglob("*"))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
@pytest.mark.parametrize("moment", ["write", "sync", "rename"])
def test_killed_in_the_middle_the_old_file_stays(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    dead = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, str(path), moment], check=False)
    assert dead.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(names(tmp_path)) == 2
    sweep_parts(tmp_path)
    assert names(tmp_path) == ["file"]
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"


def test_what_takes_its_place_was_synced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content before the rename, the folder after it."""
    told: list[object] = []
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        told.append("renamed")
        return real(self, target)

    monkeypatch.setattr(os, "fsync", lambda handle: told.append(os.fstat(handle).st_ino))
    monkeypatch.setattr(Path, "replace", replace)
    write_bytes(tmp_path / "file", b"new")
    assert told == [(tmp_path / "file").stat().st_ino, "renamed", tmp_path.stat().st_ino]


@pytest.mark.parametrize(("number", "kind"), [
    (errno.ENOSPC, "disk-full"), (errno.EDQUOT, "disk-full"), (errno.EROFS, "read-only"), (errno.EACCES, "read-only"),
])  # fmt: skip
@pytest.mark.parametrize(
    "where", [(os, "fsync"), (Path, "replace"), (Path, "write_bytes"), (Path, "mkdir")], ids=str
)
def test_a_full_or_locked_disk_is_said_in_plain_words_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: str, where: tuple[object, str]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*where, fail)
    with pytest.raises(UserError) as refused:
        write_bytes(path, b"new")
    monkeypatch.undo()
    assert refused.value.kind == kind
    assert str(path) in str(refused.value)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError(errno.EIO, "broken")])
def test_any_other_error_is_passed_on_and_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    write_bytes(tmp_path / "file", b"old")

    def write() -> None:
        with atomic_path(tmp_path / "file") as part:
            part.write_bytes(b"half")
            raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        write()
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(plain)
def test_json_is_read_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.getbasetemp() / "value.json"
    os_fsync, os.fsync = os.fsync, lambda _: None
    try:
        write_json(path, value)
    finally:
        os.fsync = os_fsync
    assert read_json(path) == json.loads(path.read_text("utf-8")) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, {"best": [-math.inf]}])
def test_json_without_numbers_for_nan_leaves_the_old_file(tmp_path: Path, value: object) -> None:
    write_json(tmp_path / "file", 1)
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "file", value)
    assert read_json(tmp_path / "file") == 1


def test_the_home_folder_is_the_one_named_and_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFER_LAB_HOME", str(tmp_path / "a" / "b"))
    assert get_home() == tmp_path / "a" / "b"
    assert get_home().is_dir()
    monkeypatch.setattr(files.os, "access", lambda *_: False)
    with pytest.raises(UserError) as refused:
        get_home()
    assert refused.value.kind == "read-only"
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRANSFER_LAB_HOME", str(tmp_path / "file"))
    with pytest.raises(UserError):
        get_home()


@pytest.mark.skipif(os.name == "nt", reason="has no modes")
def test_the_home_is_its_owners_alone_and_what_is_written_elsewhere_is_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def modes(folder: Path) -> list[int]:
        return [path.stat().st_mode & 0o777 for path in (folder, *sorted(folder.rglob("*")))]

    before = os.umask(0o022)
    try:
        old, new, public = (tmp_path / name for name in ("old", "new", "public"))
        old.mkdir()
        public.mkdir()
        public.chmod(0o1777)  # as /tmp is: not to be closed, whoever names it
        with private_files():
            for home in (old, new, public):
                monkeypatch.setenv("TRANSFER_LAB_HOME", str(home))
                write_json(get_home() / "a" / "file", 1)
            with usual_files():
                write_json(tmp_path / "elsewhere" / "file", 1)
            child = "import sys; from pathlib import Path; Path(sys.argv[1]).touch()"
            subprocess.run([sys.executable, "-c", child, str(new / "b")], check=True)
        assert modes(new) == [0o700, 0o700, 0o600, 0o600]
        assert modes(old) == [0o700, 0o700, 0o600]
        assert modes(public) == [0o777, 0o700, 0o600]
        assert modes(tmp_path / "elsewhere") == [0o755, 0o644]
        write_json(tmp_path / "after", 1)
        assert modes(tmp_path / "after") == [0o644]
    finally:
        os.umask(before)


def test_bytes_are_counted_while_files_come_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        write_bytes(tmp_path / "a" / str(number) / "file", bytes(100 * number))
    assert folder_bytes(tmp_path) == 1000
    assert folder_bytes(tmp_path / "nothing") == 0
    real = Path.stat

    def stat(self: Path, **how: bool) -> os.stat_result:
        if self.parent.name == "3":
            raise FileNotFoundError(self)
        return real(self, **how)

    monkeypatch.setattr(Path, "stat", stat)
    assert folder_bytes(tmp_path) == 700


@given(st.text(max_size=70) | st.text("0123456789abcdef", max_size=70))
def test_an_id_can_be_no_path(text: str) -> None:
    assert is_id(text) == (0 < len(text) <= 64 and set(text) <= set("0123456789abcdef"))
    if is_id(text):
        assert Path(text).parts == (text,)
