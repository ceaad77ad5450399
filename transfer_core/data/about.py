"""What lists of data sets show, also of a damaged one; and the reading of the files that make a data set."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from transfer_core.data.manifest import Manifest, Problem
from transfer_core.data.problems import bounded
from transfer_core.data.split import Split
from transfer_core.errors import UserError
from transfer_core.files import read_json, told_as, write_json

ABOUT, MANIFEST = "about.json", "manifest.json"


@dataclass(frozen=True)
class About:
    """What lists of data sets show; it can change, the manifest cannot."""

    id: str
    name: str
    created: str
    images: int
    classes: tuple[str, ...]
    problems: tuple[Problem, ...]
    note: str = ""  # where it comes from, what to know of it
    group_pattern: str = ""  # on paths, by which its groups were made; empty where they were made otherwise
    damage: str = ""  # why it cannot be used any more, in a sentence


def read_manifest(path: Path) -> Manifest:
    """Return the manifest in a file; UserError where it is damaged."""
    dataset = path.parent.name
    message = (
        f"The data set {dataset} is damaged ({path} cannot be read): bring its images again, or delete it."
    )
    try:
        with told_as(message):
            return Manifest.from_json(read_json(path))
    except UserError as error:
        _DAMAGED[path] = (_stamp(path), str(error))
        raise


def read_split(path: Path) -> Split:
    """Return the split in a file, kept while the file stays as it is; UserError where it is damaged."""
    return _read_split(path, _stamp(path))


@lru_cache(maxsize=8)
def _read_split(path: Path, _stamp: tuple[int, int]) -> Split:
    split = path.stem
    message = f"The split {split} is damaged ({path} cannot be read): the same choices on the Split page make it again."
    with told_as(message):
        found = Split.from_json(read_json(path))
        if found.id != split:  # valid, and yet not what was stored
            raise ValueError(found.id)
    return found


def read_about(path: Path) -> About:
    """Return what an about.json says; where it is damaged, what the manifest beside it says."""
    manifest = path.with_name(MANIFEST)
    damage = _find_damage(manifest)
    try:
        data: dict[str, Any] = read_json(path)
        found = [Problem(**each) for each in data["problems"]]
        problems = tuple(bounded(found))
        if len(problems) < len(found):  # of before there was a bound: each list would read them all again
            with suppress(OSError, UserError):
                write_json(path, {**data, "problems": [each.to_json() for each in problems]})
        return About(**{**data, "classes": tuple(data["classes"]), "problems": problems}, damage=damage)
    except (ValueError, TypeError, KeyError):
        dataset = path.parent.name
        when = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
        if not damage:
            try:
                whole = read_manifest(manifest)
            except UserError as error:
                damage = str(error)
            else:
                note = "What was noted of it (about.json) was damaged and is lost."
                return About(dataset, whole.name, when, len(whole.rows), whole.classes, (), note)
        return About(dataset, f"Data set {dataset[:8]}", when, 0, (), (), damage=damage)


_DAMAGED: dict[Path, tuple[tuple[int, int], str]] = {}  # what reading has shown, and the file's state then


def _find_damage(path: Path) -> str:
    """Return why a manifest cannot be read: what one look at its ends tells, and what reading has shown before."""
    stamp, told = _DAMAGED.get(path, ((0, 0), ""))
    if told and stamp == _stamp(path):
        return told
    if _has_ends(path):
        return ""
    try:
        read_manifest(path)
    except UserError as error:
        return str(error)
    return ""


def _has_ends(path: Path) -> bool:
    """Tell whether a file begins and ends as a JSON object does; one that was cut off, or is empty, does not."""
    try:
        with path.open("rb") as file:
            first = file.read(1)
            file.seek(-1, 2)
            return first + file.read(1) == b"{}"
    except OSError:
        return False


def _stamp(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError:
        return 0, 0
    return state.st_mtime_ns, state.st_size
