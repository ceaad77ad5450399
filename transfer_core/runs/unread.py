"""Uploads that are here whole and are no data set yet: nobody takes them away but who brought them.

whole.json      all of it has come, and what it is called; the page that sent it may be gone
waiting.json    a question about it waits for an answer
upload.json     it may be read, and what was told of it
starts.json     how often reading it began since it last got further, and how far it got
failed.json     why it is not read: somebody has to say whether it is tried again
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transfer_core.errors import UserError
from transfer_core.files import is_id, plain_words, read_json, read_kept, write_bytes, write_json
from transfer_core.runs.uploads import SLICES, Upload, make_token_of, received

TRIES = 3  # starts that got no further than one before
TOLD_EVERY = 1.0  # seconds between notes of how far reading is
FEW = 100  # files that are read in the server itself, where one could take it along: each is noted
KEPT = 86_400.0  # seconds; an upload that was broken off can be gone on with for a day
GONE = ".gone"  # ends the name of a folder that is being removed


@dataclass(frozen=True)
class Unread:
    """A whole upload that nobody reads. `error` says why, empty where nobody asked for it; `asks` for an answer."""

    upload: Upload
    name: str
    error: str = ""
    asks: bool = False
    told: Mapping[str, Any] | None = None  # by the page that sent it


def mark_whole(upload: Upload, files: int, size: int, told: Mapping[str, Any]) -> None:
    """Note that all of an upload has come, with what its page told; UserError where not all has."""
    here = received(upload)
    if not here or len(here) != files or sum(here.values()) != size:
        raise UserError("Not all of it arrived: choose the same again.", "torn")
    write_json(upload.folder / "whole.json", dict(told))


def is_whole(folder: Path) -> bool:
    """Tell whether all of an upload has come."""
    return any((folder / name).exists() for name in ("whole.json", "waiting.json", "upload.json"))


def is_resumable(folder: Path) -> bool:
    """Tell whether a folder of `uploads/` is one that was broken off not long ago."""
    told = [*folder.glob("names.jsonl"), *folder.glob(f"*{SLICES}"), *folder.glob(".*.part")]
    return any(time.time() - each.stat().st_mtime < KEPT for each in told)


def find_unread(home: Path, purpose: str = "data") -> list[Unread]:
    """Return the whole uploads that nobody reads, of those sent for a purpose ("data" or "predict"), the oldest first."""
    found = []
    for folder in (home / "uploads").glob("*"):
        if not is_id(folder.name) or not is_whole(folder):
            continue
        with suppress(FileNotFoundError):  # taken away meanwhile
            found.append((folder.stat().st_mtime, _make(home, folder)))
    return [
        each for _, each in sorted(found, key=lambda pair: pair[0])
        if each and (each.told or {}).get("for", "data") == purpose
    ]  # fmt: skip


def _make(home: Path, folder: Path) -> Unread | None:
    upload = Upload(make_token_of(home, folder.name), folder)

    def told(name: str) -> dict[str, Any] | None:
        found: dict[str, Any] = read_kept(folder / name, {})
        return found or (None if name == "upload.json" or not (folder / name).exists() else {})

    whole, failed, closed, waiting = map(told, ("whole.json", "failed.json", "upload.json", "waiting.json"))
    name = next((each["name"] for each in (closed, waiting, whole) if each and each.get("name")), "Upload")
    if failed is not None:
        return Unread(upload, name, str(failed.get("error", "What was noted of it is damaged.")), told=whole)
    if closed:
        return None  # it is being read
    return Unread(upload, name, asks=waiting is not None, told=whole)


def set_aside(upload: Upload, **told: str | None) -> None:
    """Keep a whole upload until somebody has answered what is asked about it, with what was told before."""
    write_json(upload.folder / "waiting.json", told)


def set_aside_as(upload: Upload) -> dict[str, Any] | None:
    """Return what was told of an upload that waits for an answer; None where it does not."""
    path = upload.folder / "waiting.json"
    if not path.exists() or (upload.folder / "upload.json").exists():
        return None
    return dict(read_json(path))


def note_failure(folder: Path, error: str) -> None:
    """Keep an upload that could not be read until somebody says what becomes of it."""
    with suppress(UserError):  # a full disk: then it is tried again at the next start
        write_json(folder / "failed.json", {"error": error})


def forgive(folder: Path) -> None:
    """Let an upload be read as if it were for the first time."""
    for name in ("starts.json", "failed.json"):
        (folder / name).unlink(missing_ok=True)


def discard_upload(upload: Upload) -> None:
    """Forget an upload and what came of it."""
    remove(upload.folder)


def remove(folder: Path) -> None:
    """Remove an upload; whenever that is cut off, it is gone: half of it must not be taken for all."""
    doomed = folder.with_name(folder.name + GONE)
    with plain_words(folder), suppress(FileNotFoundError):
        folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


class Starts:
    """How often reading an upload began, counted anew whenever it gets further than ever before."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "starts.json"
        try:
            told = read_json(self._path)
            self._count, self._furthest = int(told["count"]), int(told["furthest"])
        except (OSError, ValueError, KeyError, TypeError):  # the first, or a power cut spoilt it
            self._count = self._furthest = 0
        self._noted = 0.0

    def begin(self) -> None:
        """Count a start; UserError where so many before it got no further."""
        if self._count >= TRIES:
            raise UserError(
                f"Reading it was cut off {TRIES} times in a row without getting further. The upload is kept: try again, or "
                "delete it and bring it in smaller parts.",
                "unreadable",
            )
        self._count += 1
        self._write(sync=True)

    def watching(self, tell: Callable[[int, int], None]) -> Callable[[int, int], None]:
        """Return `tell(done, total)` that also notes how far it is."""

        def told(done: int, total: int) -> None:
            tell(done, total)
            due = total < FEW or time.monotonic() - self._noted > TOLD_EVERY
            if done > self._furthest and due:
                self._count, self._furthest, self._noted = 0, done, time.monotonic()
                self._write(sync=False)

        return told

    def _write(self, *, sync: bool) -> None:
        text = f'{{"count": {self._count}, "furthest": {self._furthest}}}'
        with suppress(FileNotFoundError):  # deleted meanwhile
            write_bytes(self._path, text.encode(), sync=sync)
