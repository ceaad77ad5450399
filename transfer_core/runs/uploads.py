"""Files on their way from a browser to the disk: `uploads/<id>/`, one file each, under names of our making.

Nothing of an upload is in memory: it may break off with the connection, the page or the server, and goes on where
it stood. What the user calls a file is kept as text and never becomes a path.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock

from transfer_core.errors import UserError
from transfer_core.files import free_bytes, get_secret, is_id, plain_words, write_json

MAX_FILE = 20_000_000_000  # bytes; an archive may be large, images have a cap of their own
MAX_FILES = 200_000
MAX_NAME = 1_000  # characters of a path
SPARE = 500_000_000  # bytes of the disk that an upload leaves free
SLICES = ".slices"  # ends the name of a file of which not all has come


@dataclass(frozen=True)
class Upload:
    """An upload by its token, which only a page of this server can have made."""

    token: str
    folder: Path

    @property
    def listing(self) -> Path:
        """The file with a line for each file that is here."""
        return self.folder / "names.jsonl"


def make_token(home: Path) -> str:
    """Return a new upload's token."""
    return make_token_of(home, uuid.uuid4().hex)


def make_token_of(home: Path, ident: str) -> str:
    """Return the token of an upload by its id, the name of its folder."""
    return ident + _sign(home, ident)


def open_upload(home: Path, token: str) -> Upload:
    """Return the upload of a token; UserError where no page of this server made it."""
    ident, signature = token[:32], token[32:]
    if (
        not is_id(ident)
        or len(ident) != 32
        or not hmac.compare_digest(signature.encode(), _sign(home, ident).encode())
    ):
        raise UserError("This upload is not known here: open the page anew.", "no-upload")
    return Upload(token, home / "uploads" / ident)


def _sign(home: Path, ident: str) -> str:
    return hmac.new(get_secret(home), f"upload {ident}".encode(), hashlib.sha256).hexdigest()[:32]


def received(upload: Upload) -> dict[str, int]:
    """Return the bytes of each file that is here whole, by the user's path."""
    return {path: size for path, (_, size) in _listed(upload).items()}


def begun(upload: Upload) -> int:
    """Return the bytes of large files that are here in part."""
    return sum(part.stat().st_size for part in upload.folder.glob(f"*{SLICES}"))


def _listed(upload: Upload) -> dict[str, tuple[str, int]]:
    found = {}
    if upload.listing.exists():
        for line in upload.listing.read_text(encoding="utf-8").splitlines():
            try:
                about = json.loads(line)
                found[about["path"]] = (about["file"], about["size"])
            except (ValueError, KeyError, TypeError):  # a line that was cut off: its file is sent again
                continue
    return found


@contextmanager
def receive(upload: Upload, path: str, size: int | None) -> Iterator[BinaryIO]:
    """Yield where one file's bytes go; it counts as here once all have arrived, and not a moment before.

    UserError where it cannot be taken: a cap, a full disk, a name that is none. `size` is what the sender
    announces; None where it does not.
    """
    _check(upload, path, size)
    name = _name(path)
    part = upload.folder / f".{name}.{uuid.uuid4().hex[:8]}.part"
    try:
        with plain_words(part), part.open("wb") as out:
            yield _Capped(out)  # type: ignore[misc]
            arrived = out.tell()
        if size is not None and arrived != size:
            raise UserError("The connection broke off: send the file again.", "torn")
        _commit(upload, path, part)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def receive_slice(upload: Upload, path: str, start: int, end: int, total: int) -> Iterator[BinaryIO]:
    """Yield where bytes `start` to `end` (not counted) of a large file go: what is here stays when the rest breaks off.

    Slices come in order; UserError of the kind "gap" where this is not the next one; the first begins anew. With the last
    the file counts as here.
    """
    _check(upload, path, total, room=end - start)
    name = _name(path)
    whole, part = upload.folder / f"{name}{SLICES}", upload.folder / f".{name}.{uuid.uuid4().hex[:8]}.part"
    if start not in (0, received_part(upload, path)) or not 0 <= start < end <= total:
        raise UserError("This is not the next piece of the file.", "gap")
    try:
        with plain_words(part), part.open("wb") as out:
            yield _Capped(out)  # type: ignore[misc]
            arrived = out.tell()
        if arrived != end - start:
            raise UserError("The connection broke off: send the piece again.", "torn")
        with plain_words(whole), FileLock(upload.folder / f".{name}.lock"):  # the same may come twice at once
            if start == 0:
                whole.unlink(missing_ok=True)
            if received_part(upload, path) != start:
                raise UserError("This is not the next piece of the file.", "gap")
            with whole.open("ab") as out, part.open("rb") as piece:
                shutil.copyfileobj(piece, out, 1 << 20)
            if whole.stat().st_size == total:
                _commit(upload, path, whole)
    finally:
        part.unlink(missing_ok=True)


def received_part(upload: Upload, path: str) -> int:
    """Return how many bytes are here of a file that comes in slices."""
    part = upload.folder / f"{_name(path)}{SLICES}"
    return part.stat().st_size if part.exists() else 0


def _check(upload: Upload, path: str, size: int | None, room: int | None = None) -> None:
    """Raise UserError where a file cannot be taken."""
    if not path.strip("/") or len(path) > MAX_NAME or "\0" in path:
        raise UserError("A file needs a name of at most 1,000 characters.", "bad-name")
    if size is not None and size > MAX_FILE:
        raise UserError(f"A file may have at most {MAX_FILE // 10**9} GB.", "too-large")
    with plain_words(upload.folder):
        upload.folder.mkdir(parents=True, exist_ok=True)
    if free_bytes(upload.folder) - ((size if room is None else room) or 0) < SPARE:
        raise UserError("The disk is full: make room and send the rest again.", "disk-full")
    if _count(upload) >= MAX_FILES:
        raise UserError(f"An upload may have at most {MAX_FILES:,} files: bring it in parts.", "too-many")


def _name(path: str) -> str:
    return hashlib.sha256(path.encode("utf-8", "replace")).hexdigest()[:32]


def _commit(upload: Upload, path: str, part: Path) -> None:
    """Let a file that has arrived whole count as here."""
    with plain_words(part):
        size, name = part.stat().st_size, _name(path)
        part.replace(upload.folder / name)
        with upload.listing.open("a", encoding="utf-8") as listing:
            listing.write(json.dumps({"path": path, "file": name, "size": size}) + "\n")


class _Capped:
    """A file that refuses to grow beyond the cap, whatever its sender announced."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, data: bytes) -> int:
        if self._out.tell() + len(data) > MAX_FILE:
            raise UserError(f"A file may have at most {MAX_FILE // 10**9} GB.", "too-large")
        return self._out.write(data)


def _count(upload: Upload) -> int:
    """Return roughly how many files are here, from the length of the list: cheap, and enough for a cap."""
    try:
        return upload.listing.stat().st_size // 80  # no line is shorter
    except FileNotFoundError:
        return 0


def files_of(upload: Upload) -> dict[str, Path]:
    """Return where each file that is here lies, by the user's path."""
    places = {path: upload.folder / file for path, (file, _) in _listed(upload).items()}
    return {path: place for path, place in places.items() if place.exists()}


def close_upload(upload: Upload, name: str, told: Mapping[str, Any] | None = None) -> Path:
    """Note that all is here, and what else was told; return the folder that the intake reads.

    UserError where nothing came, and no folder of this machine is told as the `source`.
    """
    files = {path: place.name for path, place in files_of(upload).items()}
    if not files and not (told or {}).get("source"):
        raise UserError("Nothing has arrived: choose the folder or the zip again.", "no-images")
    write_json(
        upload.folder / "upload.json", {"name": name[:200] or "Upload", "files": files, **(told or {})}
    )
    return upload.folder
