"""Where things live on disk, and how they are written so that nothing is ever half there."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from transfer_core.errors import UserError

PRIVATE = 0o700  # the mode of the home folder: its owner alone may enter
_usual_umask: int | None = None  # of the user, while `private_files` has another
T = TypeVar("T")
ASIDE = ".damaged-"  # stands between the name of a damaged file that was kept and the time it was found
SECRET_BYTES = 32
NOT_THE_FILE = (
    errno.EACCES,
    errno.EPERM,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
)  # why reading may fail, too
CAN_SYNC_ALL = hasattr(os, "sync")  # not on Windows, where each file is synced by itself


def get_home() -> Path:
    """Return the home folder: `TRANSFER_LAB_HOME`, else the platform's user data folder.

    It is made if missing, and is this user's alone. One that can only be read is returned, too (`is_writable`): what is
    there can be looked at, and what would write raises UserError.
    """
    named = os.environ.get("TRANSFER_LAB_HOME")
    if named:
        home = Path(named).expanduser()
    else:
        from platformdirs import user_data_path

        home = user_data_path("transfer-lab", appauthor=False)
    with plain_words(home):
        home.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        if not os.access(home, os.R_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "not readable", str(home))
        if is_writable(home):
            _close_to_others(home)
    return home


def is_writable(home: Path) -> bool:
    """Tell whether anything can be put into a folder."""
    return os.access(home, os.W_OK)


def _close_to_others(home: Path) -> None:
    """Let nobody else enter a folder of ours; one where all may write, as /tmp, is not ours to close."""
    about = home.stat()
    open_to_others = about.st_mode & 0o077 and not about.st_mode & stat.S_ISVTX
    if os.name != "nt" and open_to_others and about.st_uid == os.geteuid():
        home.chmod(PRIVATE)


@contextmanager
def private_files() -> Iterator[None]:
    """Let whatever this process and its children write meanwhile be this user's alone. No effect on Windows."""
    global _usual_umask
    before = os.umask(0o777 & ~PRIVATE)
    _usual_umask = before
    try:
        yield
    finally:
        os.umask(before)
        _usual_umask = None


@contextmanager
def usual_files() -> Iterator[None]:
    """Write meanwhile, for a place that the user named, as the user's other programs do. Not for several threads."""
    before = os.umask(0o077)
    os.umask(before if _usual_umask is None else _usual_umask)
    try:
        yield
    finally:
        os.umask(before)


def set_usual_mode(path: Path) -> None:
    """Give a file the mode that a new one gets."""
    os.umask(umask := os.umask(0o077))
    path.chmod(0o666 & ~umask)


def get_roots() -> list[Path]:
    """Return the folders of this machine from which the app may read: those that `TRANSFER_LAB_FOLDERS` names."""
    named = os.environ.get("TRANSFER_LAB_FOLDERS", "")
    return [Path(each) for each in named.split(os.pathsep) if each]


@contextmanager
def plain_words(path: Path) -> Iterator[None]:
    """Turn a full disk or a read-only folder into one sentence that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"The disk that holds {path} is full: free some space there and try again."
            raise UserError(message, "disk-full") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR):
            message = (
                f"{path} cannot be written: give this user the right to write there, "
                "or set TRANSFER_LAB_HOME to a folder that can be."
            )
            raise UserError(message, "read-only") from error
        raise


@contextmanager
def atomic_path(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and takes `path`'s place.

    Whatever happens, `path` is either the old file or the whole new one. The temporary file stands
    in the destination folder because a rename across file systems is not atomic. Without `sync` that holds for
    a killed process, and for a power cut only after `sync_all`.
    """
    sync = sync or not CAN_SYNC_ALL
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    with plain_words(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            if sync:
                with part.open("rb+") as written:
                    os.fsync(written.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        if sync:
            _sync_folder(path.parent)


def sync_all() -> None:
    """Bring to the disk whatever was written without: many files at once cost little more than one."""
    if CAN_SYNC_ALL:
        os.sync()


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened for syncing there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write a whole file atomically and durably; without `sync`, durably once `sync_all` was called."""
    with atomic_path(path, sync=sync) as part:
        part.write_bytes(data)


def write_json(path: Path, value: object, *, sync: bool = True) -> None:
    """Write JSON atomically; NaN and infinity are refused because JSON has no word for them."""
    write_bytes(path, json.dumps(value, allow_nan=False, ensure_ascii=False).encode(), sync=sync)


def read_json(path: Path) -> Any:
    """Return the JSON value in a file."""
    return json.loads(path.read_bytes())


def read_kept(path: Path, otherwise: T) -> T:
    """Return the JSON value in a file that can be made anew: `otherwise` where it is missing, damaged or of another kind."""
    try:
        found = read_json(path)
    except (FileNotFoundError, ValueError):
        return otherwise
    return found if isinstance(found, type(otherwise)) else otherwise


def read_work(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file that people have made; a damaged one is set aside, and nothing is left of it."""
    found: dict[str, Any] = read_kept(path, {})
    if not found and path.exists() and path.read_bytes() != b"{}":
        keep_aside(path)
    return found


@contextmanager
def told_as(message: str) -> Iterator[None]:
    """Turn whatever a damaged file makes go wrong while it is read into a UserError with this message."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except OSError as error:
        if error.errno in NOT_THE_FILE:
            raise
        raise UserError(message, "damaged") from error
    except Exception as error:  # what a parser says of bytes that are no file of its kind has no common class
        raise UserError(message, "damaged") from error


def name_aside(path: Path) -> Path:
    """Return under which name a damaged file is kept."""
    return path.with_name(f"{path.name}{ASIDE}{datetime.now():%Y%m%d-%H%M%S-%f}")


def keep_aside(path: Path) -> None:
    """Give a damaged file another name, never delete it."""
    with suppress(OSError):  # another has just done so, or the disk cannot be written
        path.rename(name_aside(path))


def sweep_parts(folder: Path) -> None:
    """Remove temporary files that a killed process left."""
    for part in folder.rglob(".*.part"):
        part.unlink(missing_ok=True)


def folder_bytes(folder: Path) -> int:
    """Return the bytes that the files below a folder occupy."""
    total = 0
    for root, _, names in os.walk(folder):  # unlike rglob, it does not mind what vanishes meanwhile
        for name in names:
            with suppress(FileNotFoundError):
                total += Path(root, name).stat().st_size
    return total


def free_bytes(folder: Path) -> int:
    """Return the bytes free on the disk that holds a folder."""
    return shutil.disk_usage(folder).free


def is_id(text: str) -> bool:
    """Tell whether a text can be one of our ids: paths are only ever built from such."""
    return 0 < len(text) <= 64 and all(each in "0123456789abcdef" for each in text)


def get_secret(home: Path) -> bytes:
    """Return this home's own 32 random bytes, made on first need: they salt pseudonyms and sign tokens."""
    path = home / "secret"
    if not is_writable(home) and path.exists():
        return path.read_bytes()
    with plain_words(path), FileLock(home / "secret.lock"):
        if path.exists() and path.stat().st_size != SECRET_BYTES:
            keep_aside(path)
        if not path.exists():
            write_bytes(path, secrets.token_bytes(SECRET_BYTES))
            path.chmod(0o600)
        return path.read_bytes()
