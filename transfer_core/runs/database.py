"""The SQLite file behind the run store: transactions, what goes wrong with them, and its mending."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from copy import copy
from pathlib import Path

from transfer_core.errors import UserError
from transfer_core.files import free_bytes, plain_words
from transfer_core.runs.records import has_records, is_whole, mend_store

SCHEMA = (Path(__file__).parent / "schema.sql").read_text()
DAMAGED = "damaged-store"
ROOM = 300_000  # bytes of the journal
SCRUBBED, DELETED = 0, 1  # the file's `user_version`: whether what was deleted may still be readable


class Database:
    """One SQLite file. Each transaction opens its own connection, so threads may share it."""

    def __init__(self, path: Path, patience: float) -> None:
        """Open it, made if it is not there; `patience`: seconds to wait where another program locks it."""
        self.path, self._patience = path, patience
        try:
            self._prepare()
        except UserError as error:
            if error.kind != DAMAGED:
                raise
            self._prepare()  # it has been mended
        with suppress(
            OSError, UserError
        ):  # the disk is full or may not be written: then there is what there is
            self._reserve()

    def with_patience(self, seconds: float) -> Database:
        """Return it for somebody who waits otherwise where another program locks it."""
        other = copy(self)
        other._patience = seconds
        return other

    def _prepare(self) -> None:
        with self.reading() as db:
            if _is_made(db):
                return
        with self.transaction() as db:
            if _is_made(db):  # by another, meanwhile
                return
            if has_records(self.path.parent):  # it was cut to nothing, or taken away
                raise sqlite3.DatabaseError("malformed")
            for statement in SCHEMA.split(";\n"):  # not executescript: it would commit halfway
                db.execute(statement)

    def _reserve(self) -> None:
        """Give the journal its room now, which it keeps: with it small changes and deletions work on a full disk.

        SQLite takes what stands behind a journal's end for the rest of an older one, and zeros for none.
        """
        journal = self.path.with_name(f"{self.path.name}-journal")
        if journal.exists() and journal.stat().st_size >= ROOM:
            return
        with self.transaction(), journal.open("ab") as file:  # nobody else writes meanwhile
            file.write(bytes(max(0, ROOM - file.tell())))  # it may have grown before it was this one's turn

    def scrub(self) -> None:
        """Leave nothing of deleted rows that could be read; where that cannot be done now, the next start does it.

        Rows that SQLite once moved from page to page stay where they were, although what is deleted is overwritten: only a
        file that is built anew is free of them. The journal holds pages as they were before.
        """
        with suppress(OSError, UserError):  # the disk is full, or another program has the store
            roomy = free_bytes(self.path.parent) > 3 * self.path.stat().st_size + ROOM
            if roomy:
                with self._connect() as db:
                    db.execute("VACUUM")
            with self.transaction() as db:  # nobody else writes meanwhile
                self._wipe_journal()
                if roomy:
                    db.execute(f"PRAGMA user_version = {SCRUBBED}")

    def _wipe_journal(self) -> None:
        journal = self.path.with_name(f"{self.path.name}-journal")
        if not journal.exists():
            return
        with journal.open("rb+") as file:
            file.write(bytes(journal.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
            file.truncate(ROOM)

    def check(self) -> None:
        """Read all of it, mend it where it is damaged, and scrub it where that could not be done before."""
        if not is_whole(self.path):
            mend_store(self.path, SCHEMA)
        with self.reading() as db:
            left = db.execute("PRAGMA user_version").fetchone()[0] != SCRUBBED
        if left:
            self.scrub()

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """A transaction that takes no write lock."""
        return self.transaction("BEGIN")

    @contextmanager
    def transaction(
        self, begin: str = "BEGIN IMMEDIATE", patience: float | None = None
    ) -> Iterator[sqlite3.Connection]:
        """One transaction: committed whole, or not at all. `patience`: another one than usual."""
        with self._connect(patience) as db:
            db.execute(begin)
            yield db
            db.execute("COMMIT")

    @contextmanager
    def _connect(self, patience: float | None = None) -> Iterator[sqlite3.Connection]:
        patience = self._patience if patience is None else patience
        with plain_words(self.path):
            try:
                db = sqlite3.connect(self.path, timeout=patience, isolation_level=None)
            except sqlite3.OperationalError as error:
                raise UserError(f"The run store {self.path} cannot be opened ({error}).", "store") from error
        try:
            db.row_factory = sqlite3.Row
            # A journal that stays needs no room on a full disk. (Write-ahead logging always does, and has a corruption
            # bug before 3.51.3.)
            db.execute("PRAGMA journal_mode = PERSIST")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")  # not every build overwrites by itself what is deleted
            db.execute("PRAGMA foreign_keys = ON")
            yield db
        except sqlite3.DatabaseError as error:
            db.close()
            raise self._explain(error) from error
        finally:
            db.close()  # an open transaction is rolled back

    def _explain(self, error: sqlite3.DatabaseError) -> Exception:
        """Return what to tell of an error; a damaged store is mended before."""
        text = str(error)
        if "full" in text:
            return UserError(
                f"The disk that holds {self.path} is full: free some space there and try again.", "disk-full"
            )
        if "readonly" in text:
            return UserError(
                f"{self.path} cannot be written: give this user the right to write there.", "read-only"
            )
        if "locked" in text:
            return UserError(f"Another program keeps {self.path} locked: try again in a moment.", "busy")
        if any(each in text for each in ("not a database", "malformed", "no such table")):
            mend_store(self.path, SCHEMA)
            return UserError(
                "The list of runs was damaged and has been mended: try again.",
                DAMAGED,
            )
        if isinstance(error, sqlite3.OperationalError):  # of the disk, or of the system
            return UserError(f"The run store {self.path} cannot be used now ({error}).", "store")
        return error


def _is_made(db: sqlite3.Connection) -> bool:
    return bool(db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'events'").fetchone()[0])
