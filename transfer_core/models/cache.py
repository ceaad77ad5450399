"""The activation cache: what lies before the cut is computed once per image and kept on disk.

A shelf holds one kind of activation (one reading, geometry, weights, engine, stage and view) as
fixed-size rows in one file, with a list of the images in the order of their rows. Rows are
appended and synced before their names are, so a crash leaves rows without a name, never a name
without its row.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from transfer_core.files import folder_bytes, free_bytes, plain_words, read_json, write_bytes, write_json
from transfer_core.models.backbones import Backbone

Rows = npt.NDArray[np.generic]  # [n, ...], the dtype of the shelf

SHARE_OF_FREE_DISK = 0.20
MOST_BYTES = 20_000_000_000


def choose_stored(backbone: Backbone, cut: int, rows: int, budget: int) -> int:
    """Return the stage count after which activations are kept: the deepest that fits and pays.

    It fits when `rows` (images times views) of it stay within `budget` bytes. It pays when reading a
    row (about 0.5 GB/s from a cold disk) takes less time than computing it (at about 20 GFLOP/s, a
    slow CPU), counting from the pixels that are the alternative. 0 means: keep decoded pixels.
    """
    for stored in range(cut, 0, -1):
        shape = backbone.stages[stored - 1].shape
        size = int(np.prod(shape)) * (4 if len(shape) == 1 else 2)
        gflops = sum(stage.gflops for stage in backbone.stages[:stored])
        pays = (size - 3 * backbone.size**2) / 0.5e9 < gflops / 20
        if pays and rows * size <= budget:
            return stored
    return 0


@dataclass(frozen=True)
class ShelfKey:
    """Everything that decides an activation, the image apart."""

    reading: str
    geometry: str
    size: int
    weights: str
    engine: str
    dtype: str
    stage: int
    shape: tuple[int, ...]
    view: str

    @property
    def id(self) -> str:
        """Sixteen hex digits of the key."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def row_bytes(self) -> int:
        """Bytes of one image's activation."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize


class Shelf:
    """An open shelf. While it is open it is not evicted; close() or `with` gives it back."""

    def __init__(self, folder: Path, key: ShelfKey) -> None:
        self.folder = folder
        self.key = key
        with plain_words(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if not (folder / "key.json").exists():
                write_json(folder / "key.json", asdict(key))
            self._hold = FileLock(folder / f"{uuid.uuid4().hex}.hold", blocking=False)
            self._hold.acquire()
        self._writing = FileLock(folder / "writing.lock")
        self._rows: dict[str, int] = {}
        self._read_to = 0  # bytes of images.txt that are in _rows
        self._map: np.memmap[tuple[int, ...], np.dtype[np.generic]] | None = None
        self.refresh()

    def refresh(self) -> None:
        """Read the list of images again: another process may have added some."""
        names = self.folder / "images.txt"
        if names.exists() and names.stat().st_size > self._read_to:
            with names.open("rb") as lines:
                lines.seek(self._read_to)
                whole = lines.read().rpartition(b"\n")[0]  # a torn last line is no line
            for name in whole.decode().split("\n") if whole else ():
                self._rows[name] = len(self._rows)
            self._read_to += len(whole) + bool(whole)
            self._map = None
        (self.folder / "key.json").touch()  # the time of last use, for eviction

    def missing(self, images: Iterable[str]) -> list[str]:
        """Return the images that have no row yet, each once, in the order given."""
        return [image for image in dict.fromkeys(images) if image not in self._rows]

    def append(self, images: Sequence[str], rows: Rows) -> None:
        """Add activations [n, *shape] of images; those that came in meanwhile stay as they are."""
        with self._writing, plain_words(self.folder):
            self.refresh()
            new = {image: index for index, image in enumerate(images) if image not in self._rows}
            if not new:
                return
            with (self.folder / "rows.bin").open("ab") as out:
                out.truncate(len(self._rows) * self.key.row_bytes)  # rows without a name, from a crash
                out.write(np.ascontiguousarray(rows[list(new.values())], dtype=self.key.dtype).tobytes())
                _sync(out)
            with (self.folder / "images.txt").open("a") as out:
                out.truncate(self._read_to)
                out.write("".join(f"{image}\n" for image in new))
                _sync(out)
            self.refresh()

    def read(self, images: Sequence[str]) -> Rows:
        """Return the activations [n, *shape] of images; each must have a row."""
        if self._map is None:
            shape = (len(self._rows), *self.key.shape)
            self._map = np.memmap(self.folder / "rows.bin", dtype=self.key.dtype, mode="r", shape=shape)
        return np.asarray(self._map[[self._rows[image] for image in images]])

    def close(self) -> None:
        """Give the shelf back; it may be evicted from now on."""
        self._map = None
        self._hold.release()
        Path(self._hold.lock_file).unlink(missing_ok=True)

    def __enter__(self) -> Shelf:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _sync(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


class ActivationCache:
    """All shelves below one folder, within a budget of bytes."""

    def __init__(self, folder: Path, budget: int | None = None) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        # Nobody opens a shelf while another looks whether it is held and takes it away.
        self._moving = FileLock(folder / "moving.lock")
        self.budget = budget if budget is not None else self._default_budget()

    def _default_budget(self) -> int:
        """Return 20 % of what is free (what the cache holds already counts as free), at most 20 GB."""
        free = free_bytes(self.folder) + folder_bytes(self.folder)
        return min(int(SHARE_OF_FREE_DISK * free), MOST_BYTES)

    def open(self, key: ShelfKey) -> Shelf:
        """Return the shelf of a key, made if it is not there."""
        with self._moving:
            return Shelf(self.folder / key.id, key)

    def bytes_used(self) -> int:
        """Return the bytes that all shelves occupy."""
        return folder_bytes(self.folder)

    def make_room(self, wanted: int) -> int:
        """Evict shelves that nobody holds, least recently used first, until `wanted` bytes fit."""
        freed = 0
        with self._moving:
            for folder in sorted(self._shelves(), key=lambda each: (each / "key.json").stat().st_mtime):
                if self.bytes_used() + wanted <= self.budget:
                    break
                freed += self._evict(folder)
        return freed

    def clear(self) -> int:
        """Remove every shelf that nobody holds; return the bytes freed."""
        with self._moving:
            return sum(self._evict(folder) for folder in self._shelves())

    def forget(self, images: Iterable[str]) -> int:
        """Remove the rows of images (their data set was deleted); return the bytes freed.

        Rows lie in one file, so a shelf goes as a whole and is refilled. Where a run of another data
        set holds it, the rows are blanked where they stand.
        """
        doomed = set(images)
        freed = 0
        with self._moving:
            for folder in self._holding(doomed):
                freed += self._evict(folder)
                if folder.exists():
                    _blank(folder, doomed)
        return freed

    def weigh(self, images: Iterable[str]) -> int:
        """Return the bytes that `forget` would free, where no run holds them."""
        return sum(folder_bytes(folder) for folder in self._holding(set(images)))

    def _holding(self, images: set[str]) -> list[Path]:
        lists = [(folder, folder / "images.txt") for folder in self._shelves()]
        return [
            folder
            for folder, names in lists
            if names.exists() and images.intersection(names.read_text().split("\n"))
        ]

    def _shelves(self) -> list[Path]:
        return [each.parent for each in self.folder.glob("*/key.json")]

    def _evict(self, folder: Path) -> int:
        if any(_is_held(hold) for hold in folder.glob("*.hold")):
            return 0
        size = folder_bytes(folder)
        doomed = folder.with_name(f".{folder.name}.{time.monotonic_ns()}.gone")
        folder.rename(doomed)  # first out of sight, whole; then away
        shutil.rmtree(doomed, ignore_errors=True)
        return size


def _blank(folder: Path, doomed: set[str]) -> None:
    """Overwrite rows and their names; every other row and name keeps its place for those who read."""
    row_bytes = ShelfKey(**read_json(folder / "key.json")).row_bytes
    with FileLock(folder / "writing.lock"), plain_words(folder):
        names = (folder / "images.txt").read_text().split("\n")
        with (folder / "rows.bin").open("rb+") as rows:
            for row, name in enumerate(names):
                if name in doomed:
                    rows.seek(row * row_bytes)
                    rows.write(bytes(row_bytes))
                    names[row] = f"{row:->{len(name)}}"
            _sync(rows)
        write_bytes(folder / "images.txt", "\n".join(names).encode())


def _is_held(hold: Path) -> bool:
    """Tell whether the process behind a hold still lives; the hold of a dead one is removed."""
    lock = FileLock(hold, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        return True
    lock.release()
    hold.unlink(missing_ok=True)
    return False
