"""What of every run lies in its own folder too, so that a damaged list of runs can be made again.

`run.json` is the run's row in the store; `events.json`, once the run is over, what was told of it, steps apart.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from transfer_core.errors import UserError
from transfer_core.files import ASIDE, keep_aside, name_aside, plain_words, read_kept, write_json
from transfer_core.runs.run import OVER
from transfer_core.training.spec import RunSpec

RECORD, TOLD = "run.json", "events.json"
LEFT_OUT = ("Stepped", "Progressed")  # kinds of events that matter only while a run goes on
BESIDE = ("-journal", "-wal", "-shm")  # files that SQLite keeps beside its own and believes in


def keep_record(db: sqlite3.Connection, folder: Path, run: str) -> None:
    """Write a run's row into its folder, and what was told of it where it is over; the disk may refuse it."""
    row = db.execute("SELECT * FROM runs WHERE id = ?", (run,)).fetchone()
    if row is None:
        return
    with suppress(OSError, UserError):  # the store is what counts
        # What goes on is written again soon: only what stays is worth waiting for the disk.
        is_over = row["state"] in OVER
        write_json(folder / RECORD, dict(row), sync=is_over)
        if is_over:
            marks = ", ".join("?" * len(LEFT_OUT))
            told = db.execute(
                f"SELECT seq, at, epoch, kind, body FROM events WHERE run = ? AND kind NOT IN ({marks}) ORDER BY seq",
                (run, *LEFT_OUT),
            )
            write_json(folder / TOLD, [tuple(each) for each in told], sync=False)


def has_records(home: Path) -> bool:
    """Tell whether any run has left a record."""
    return next(home.glob(f"runs/*/{RECORD}"), None) is not None


def is_whole(path: Path) -> bool:
    """Tell whether a store can be read from its beginning to its end and its indexes say what its tables do.

    One without tables cannot. Some 10 ms for each MB.
    """
    return _try(path, _check)


def _check(db: sqlite3.Connection) -> bool:
    names = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    return {"runs", "events"} <= names and db.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)


def _index_anew(db: sqlite3.Connection) -> bool:
    """Make all indexes anew from their tables, where the store is whole then; else change nothing."""
    db.execute("PRAGMA journal_mode = PERSIST")
    db.execute("BEGIN IMMEDIATE")
    db.execute("REINDEX")
    whole = _check(db)
    db.execute("COMMIT" if whole else "ROLLBACK")
    return whole


def _try(path: Path, do: Callable[[sqlite3.Connection], bool]) -> bool:
    """Return what `do` finds in a store, False where it is damaged or not there."""
    if not path.exists():
        return False
    try:  # not only for reading: what a killed process left half-written is taken back first
        where = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(where, uri=True, timeout=2, isolation_level=None)) as db:
            return do(db)
    except (
        sqlite3.OperationalError
    ):  # locked, not to be opened, a fault of the disk: nothing to make it again for
        return True
    except sqlite3.DatabaseError:
        return False


def mend_store(path: Path, schema: str) -> None:
    """Where the store is damaged, make its indexes anew; where that is not all, set it aside and make it again from the runs' folders."""
    with plain_words(path), FileLock(path.with_name("store.lock")):
        # Now: another process may just have done it.
        if is_whole(path) or _try(path, _index_anew):
            return
        new = path.with_name(f"{path.name}.new")
        new.unlink(missing_ok=True)
        with closing(sqlite3.connect(new, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = OFF")
            db.execute("BEGIN")
            for statement in schema.split(";\n"):
                db.execute(statement)
            for row, told in _read_records(path.parent):
                _insert(db, row, told)
            db.execute("COMMIT")
        _set_aside(path)
        new.replace(path)


def _set_aside(path: Path) -> None:
    if not path.exists():
        return
    aside = name_aside(path)
    try:
        os.link(path, aside)  # a rename would leave a moment in which another process makes an empty store
    except OSError:
        keep_aside(path)
    for suffix in BESIDE:  # or the new store would be taken for what these speak of
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.replace(aside.with_name(aside.name + suffix))


def _read_records(home: Path) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    for path in sorted(home.glob(f"runs/*/{RECORD}")):
        row: dict[str, Any] = read_kept(path, {})
        if row.get("id") == path.parent.name:
            yield row, read_kept(path.with_name(TOLD), [])


def _insert(db: sqlite3.Connection, row: Mapping[str, Any], told: list[Any]) -> None:
    """Insert a run as its record tells; one that does not fit the store, or cannot be read, is left out."""
    try:
        RunSpec.from_json(json.loads(row["spec"]))
        db.execute(
            f"INSERT INTO runs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())
        )
    except (sqlite3.Error, ValueError, TypeError, KeyError):
        return
    for each in told:
        with suppress(sqlite3.Error, TypeError):
            db.execute(
                "INSERT INTO events (run, seq, at, epoch, kind, body) VALUES (?, ?, ?, ?, ?, ?)",
                (row["id"], *each),
            )


def notices(home: Path) -> list[str]:
    """Return what must be said of files that were damaged and set aside, until somebody takes these away."""
    return [_notice(path) for path in sorted(home.glob(f"*{ASIDE}*")) if not path.name.endswith(BESIDE)] + [
        f"Labels that were given by hand were damaged and are lost: what is left of them lies in {path}. Move this file away to end this notice."
        for path in sorted(home.glob(f"datasets/*/*{ASIDE}*"))
    ]


def _notice(path: Path) -> str:
    end = "Move that file away to end this notice."
    if path.name.startswith("store.sqlite"):
        return (
            "The list of runs was damaged and has been made again from the folders of the runs: the old one lies in "
            f"{path}. {end}"
        )
    if path.name.startswith("secret"):
        return (
            "The file `secret` was damaged and has been made anew: patients in images brought from now on are not recognised "
            f"as those of earlier data sets, so do not add to these. The old one lies in {path}. {end}"
        )
    return f"A damaged file was set aside as {path}. {end}"
