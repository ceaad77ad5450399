"""The only code that speaks SQL: runs and their events in one SQLite file.

Every claim of a run gets an attempt number. Events and state changes carry it, and an older one is
refused with `Superseded`, so that a worker that was thought dead and wakes up again cannot write into
the run that took its place.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

from transfer_core.errors import UserError
from transfer_core.runs.database import DELETED, Database
from transfer_core.runs.records import RECORD, keep_record
from transfer_core.runs.run import ACTIVE, OVER, STUDY, Run, Superseded
from transfer_core.training.events import Event, from_record, to_record
from transfer_core.training.spec import RunSpec

__all__ = ["ACTIVE", "OVER", "Run", "RunStore", "Superseded"]
FEW = 20  # events that are deleted at a time where the disk is full


class RunStore:
    """Runs below a home folder. Cheap to make; each call opens its own connection, so threads may share it."""

    def __init__(self, home: Path, patience: float = 10.0) -> None:
        """Open the store, made if it is not there; `patience`: seconds to wait where another program locks it."""
        self.home, self.path = home, home / "store.sqlite"
        self._db = Database(self.path, patience)

    def check(self) -> None:
        """Mend the store where it is damaged, and let every run have its record; for the start of a server."""
        self._db.check()
        bare = [run.id for run in self.runs() if not (self.folder(run.id) / RECORD).exists()]
        for run in bare:  # of an earlier version
            with self._db.reading() as db:
                keep_record(db, self.folder(run), run)

    def with_patience(self, seconds: float) -> RunStore:
        """Return this store for somebody who waits otherwise where another program locks it."""
        other = copy(self)
        other._db = self._db.with_patience(seconds)
        return other

    def folder(self, run: str) -> Path:
        """Return the folder of a run's files."""
        return self.home / "runs" / run

    # -- adding, finding ------------------------------------------------------------------

    def add_run(
        self, spec: RunSpec, *, name: str = "", token: str | None = None, parent: str | None = None
    ) -> Run:
        """Queue a run. The same token again returns the run it made the first time."""
        token = token or uuid.uuid4().hex
        run = uuid.uuid4().hex[:12]
        with self._change(run) as db:
            db.execute(
                "INSERT INTO runs (id, token, spec, manifest, device, name, state, parent, created) "
                "VALUES (?, ?, ?, ?, ?, ?, 'queued', ?, ?) ON CONFLICT (token) DO NOTHING",
                (
                    run,
                    token,
                    json.dumps(spec.to_json()),
                    spec.manifest,
                    spec.device,
                    name,
                    parent,
                    time.time(),
                ),
            )
            row = db.execute("SELECT id FROM runs WHERE token = ?", (token,)).fetchone()
        return self.get(row["id"])

    def get(self, run: str) -> Run:
        """Return a run by its whole id."""
        with self._db.reading() as db:
            row = db.execute("SELECT * FROM runs WHERE id = ?", (run,)).fetchone()
        if row is None:
            raise UserError(f"There is no run {run[:40]!r}; see the list of runs.", "no-run")
        return _make_run(row)

    def find(self, ref: str) -> Run:
        """Return the run that an id, an unambiguous beginning of one, or a name means."""
        with self._db.reading() as db:
            rows = db.execute(
                "SELECT * FROM runs WHERE id = ?1 OR (name = ?1 AND name <> '') "
                "OR (length(?1) >= 3 AND substr(id, 1, length(?1)) = ?1)",
                (ref,),
            ).fetchall()
        exact = [row for row in rows if row["id"] == ref]
        if not rows:
            raise UserError(f"There is no run {ref[:40]!r}; see the list of runs.", "no-run")
        if len(rows) > 1 and not exact:
            ids = ", ".join(row["id"] for row in rows)
            raise UserError(f"{ref[:40]!r} could mean any of {ids}: give more of the id.", "ambiguous")
        return _make_run((exact or rows)[0])

    def runs(self, *, states: Iterable[str] = (), manifest: str | None = None) -> list[Run]:
        """Return runs, newest first, of some states or one data set where asked."""
        with self._db.reading() as db:
            rows = db.execute("SELECT * FROM runs ORDER BY created DESC, id").fetchall()
        wanted = set(states)
        found = (_make_run(row) for row in rows if not wanted or row["state"] in wanted)
        return [run for run in found if manifest in (None, run.manifest)]

    # -- the life of a run ----------------------------------------------------------------

    def claim(self, run: str) -> Run | None:
        """Take a queued run for this process; None where another won or its device is busy."""
        with self._change(run) as db:
            taken = db.execute(
                "UPDATE runs SET state = 'running', attempt = attempt + 1, beat = 0, stop_requested = 0, "
                "started = ?, ended = NULL, error = NULL, best = NULL, result = NULL "
                "WHERE id = ? AND state = 'queued' AND NOT EXISTS "
                "(SELECT 1 FROM runs AS other WHERE other.device = runs.device "
                "AND other.state IN ('running', 'stopping'))",
                (time.time(), run),
            ).rowcount
        return self.get(run) if taken else None

    def beat(self, run: str, attempt: int) -> None:
        """Raise the heart's counter."""
        with self._db.transaction() as db:
            self._update(db, run, attempt, "beat = beat + 1")

    def request_stop(self, run: str) -> None:
        """Ask a run to stop: a queued one is over at once, a running one after its current step."""
        with self._change(run) as db:
            db.execute(
                "UPDATE runs SET stop_requested = 1, state = CASE state WHEN 'queued' THEN 'stopped' "
                "WHEN 'running' THEN 'stopping' ELSE state END, "
                "ended = CASE state WHEN 'queued' THEN ? ELSE ended END WHERE id = ?",
                (time.time(), run),
            )

    def finish(
        self,
        run: str,
        attempt: int,
        state: str,
        *,
        error: str | None = None,
        best: float | None = None,
        result: Mapping[str, Any] | None = None,
    ) -> None:
        """Note how an attempt ended."""
        stored = json.dumps(result, allow_nan=False) if result is not None else None
        values = (state, error, best, stored, time.time())
        with self._change(run) as db:
            self._update(db, run, attempt, "state = ?, error = ?, best = ?, result = ?, ended = ?", values)

    def mark_lost(self, run: str, attempt: int, beat: int) -> bool:
        """Mark a run lost if its heart still stands where the caller saw it; True where it did.

        UserError where the store is locked now: a heart that waits for it, too, must come first.
        """
        with self._change(run, patience=0.0) as db:
            text = (
                "The training process ended without a word (killed, out of memory, or power lost). "
                "Nothing up to its last checkpoint is lost: let it go on from there."
            )
            return bool(
                db.execute(
                    "UPDATE runs SET state = 'lost', error = ?, ended = ? WHERE id = ? AND attempt = ? "
                    "AND beat = ? AND state IN ('running', 'stopping')",
                    (text, time.time(), run, attempt, beat),
                ).rowcount
            )

    def mark_unstartable(self, run: str) -> None:
        """Fail a queued run whose process ends before it can claim the run."""
        text = "The training process could not start: see output.log in the run's folder."
        with self._change(run) as db:
            db.execute(
                "UPDATE runs SET state = 'failed', error = ?, ended = ? WHERE id = ? AND state = 'queued'",
                (text, time.time(), run),
            )

    def requeue(self, run: str) -> Run:
        """Put a stopped, failed or lost run back into the queue, to go on from its checkpoint."""
        with self._change(run) as db:
            changed = db.execute(
                "UPDATE runs SET state = 'queued', stop_requested = 0, ended = NULL, error = NULL "
                "WHERE id = ? AND state IN ('stopped', 'failed', 'lost')",
                (run,),
            ).rowcount
        found = self.get(run)
        if not changed:
            raise UserError(f"Run {found.id} is {found.state}: there is nothing to resume.", "not-resumable")
        return found

    def rename(self, run: str, *, name: str | None = None, note: str | None = None) -> None:
        """Change a run's name or note."""
        with self._change(run) as db:
            db.execute(
                "UPDATE runs SET name = coalesce(?, name), note = coalesce(?, note) WHERE id = ?",
                (name, note, run),
            )

    def delete(self, run: str) -> None:
        """Remove a run and its events, even on a full disk; its files, and to `scrub` afterwards, are the caller's affair."""
        try:
            with self._db.transaction() as db:
                self._delete_row(db, run)
        except UserError as error:
            if error.kind != "disk-full":
                raise
            self._delete_in_parts(run)

    def _delete_in_parts(self, run: str) -> None:
        """Remove a run in transactions so small that the room which the journal has already is enough."""
        few = "DELETE FROM events WHERE run = ?1 AND seq IN (SELECT seq FROM events WHERE run = ?1 LIMIT ?2)"
        left = True
        while left:
            with self._db.transaction() as db:
                left = db.execute(few, (run, FEW)).rowcount == FEW
        with self._db.transaction() as db:
            self._delete_row(db, run)

    @staticmethod
    def _delete_row(db: sqlite3.Connection, run: str) -> None:
        db.execute("DELETE FROM runs WHERE id = ?", (run,))
        db.execute(f"PRAGMA user_version = {DELETED}")

    def scrub(self) -> None:
        """Leave nothing of deleted runs that could be read in the store's files."""
        self._db.scrub()

    # -- events ---------------------------------------------------------------------------

    def add_events(self, run: str, attempt: int, events: Iterable[Event]) -> None:
        """Append events in order, all or none."""
        now = time.time()
        with self._db.transaction() as db:
            self._check_attempt(db, run, attempt)
            db.execute("UPDATE runs SET beat = beat + 1 WHERE id = ?", (run,))  # it lives, or could not tell
            last = db.execute("SELECT coalesce(max(seq), 0) FROM events WHERE run = ?", (run,)).fetchone()[0]
            records = [to_record(event) for event in events]
            db.executemany(
                "INSERT INTO events (run, seq, at, epoch, kind, body) VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (run, last + number, now, body["epoch"], kind, json.dumps(body, allow_nan=False))
                    for number, (kind, body) in enumerate(records, start=1)
                ],
            )

    def drop_events_after(self, run: str, attempt: int, epoch: int) -> None:
        """Forget what was told of epochs that a resumed run will train again."""
        with self._db.transaction() as db:
            self._check_attempt(db, run, attempt)
            db.execute("DELETE FROM events WHERE run = ? AND (epoch > ? OR kind = 'Ended')", (run, epoch))

    def events(self, run: str, after: int = 0, kinds: Iterable[str] = ()) -> list[tuple[int, float, Event]]:
        """Return (seq, time, event) with seq above `after`, in order, of some kinds where asked."""
        wanted = tuple(kinds)
        marks = ", ".join("?" * len(wanted))
        only = f" AND kind IN ({marks})" if wanted else ""
        with self._db.reading() as db:
            rows = db.execute(
                f"SELECT seq, at, kind, body FROM events WHERE run = ? AND seq > ?{only} ORDER BY seq",
                (run, after, *wanted),
            ).fetchall()
        return [(row["seq"], row["at"], from_record(row["kind"], json.loads(row["body"]))) for row in rows]

    def last_event(self, run: str, kind: str = "") -> tuple[int, float, Event] | None:
        """Return the newest event of a run, of a kind where asked."""
        only = " AND kind = ?" if kind else ""
        with self._db.reading() as db:
            row = db.execute(
                f"SELECT seq, at, kind, body FROM events WHERE run = ?{only} ORDER BY seq DESC LIMIT 1",
                (run, kind) if kind else (run,),
            ).fetchone()
        return (row["seq"], row["at"], from_record(row["kind"], json.loads(row["body"]))) if row else None

    # -- inside ---------------------------------------------------------------------------

    @staticmethod
    def _update(
        db: sqlite3.Connection, run: str, attempt: int, what: str, values: tuple[object, ...] = ()
    ) -> None:
        changed = db.execute(
            f"UPDATE runs SET {what} WHERE id = ? AND attempt = ? AND state IN ('running', 'stopping')",
            (*values, run, attempt),
        ).rowcount
        if not changed:
            raise Superseded(run)

    @staticmethod
    def _check_attempt(db: sqlite3.Connection, run: str, attempt: int) -> None:
        row = db.execute("SELECT attempt, state FROM runs WHERE id = ?", (run,)).fetchone()
        if row is None or row["attempt"] != attempt or row["state"] not in ACTIVE:
            raise Superseded(run)

    @contextmanager
    def _change(self, run: str, patience: float | None = None) -> Iterator[sqlite3.Connection]:
        """A transaction that changes a run's row, after which its record says the same."""
        with self._db.transaction(patience=patience) as db:
            yield db
            keep_record(db, self.folder(run), run)  # inside: nobody else writes one meanwhile


def _make_run(row: sqlite3.Row) -> Run:
    data = {key: row[key] for key in row.keys() if key != "token"}  # noqa: SIM118 - sqlite3.Row
    data["of_study"] = row["token"].startswith(STUDY)
    data["spec"] = RunSpec.from_json(json.loads(row["spec"]))
    data["stop_requested"] = bool(row["stop_requested"])
    data["result"] = json.loads(row["result"]) if row["result"] else None
    return Run(**data)
