CREATE TABLE IF NOT EXISTS runs (
    id              TEXT PRIMARY KEY,
    token           TEXT NOT NULL UNIQUE,      -- the client's: five fast clicks make one run
    spec            TEXT NOT NULL,             -- JSON
    manifest        TEXT NOT NULL,
    device          TEXT NOT NULL,
    name            TEXT NOT NULL,
    note            TEXT NOT NULL DEFAULT '',
    state           TEXT NOT NULL CHECK (state IN
                        ('queued', 'running', 'stopping', 'done', 'stopped', 'failed', 'lost')),
    attempt         INTEGER NOT NULL DEFAULT 0, -- who may write: only the newest claim
    parent          TEXT,
    created         REAL NOT NULL,             -- seconds since 1970
    started         REAL,
    ended           REAL,
    beat            INTEGER NOT NULL DEFAULT 0, -- raised every second by the worker's heart
    stop_requested  INTEGER NOT NULL DEFAULT 0,
    error           TEXT,
    best            REAL,                      -- validation accuracy of the chosen epoch
    result          TEXT                       -- JSON: the figures lists show without opening the report
) STRICT;
CREATE TABLE IF NOT EXISTS events (
    run     TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
    seq     INTEGER NOT NULL,
    at      REAL NOT NULL,
    epoch   INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_by_kind ON events (run, kind, seq);
CREATE INDEX IF NOT EXISTS runs_by_age ON runs (created);
