"""What every benchmark does: print a table, keep the figures as JSON, fail where a bound is missed."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]


@dataclass(frozen=True)
class Check:
    """A figure and the bound it has to keep."""

    what: str
    value: float
    bound: float
    at_least: bool = True

    @property
    def kept(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound


class Rows:
    """The rows of a benchmark, a line each of `results/NAME.jsonl`; what is there is not measured again.

    A matrix may so be interrupted, and span several sittings.
    """

    def __init__(self, name: str) -> None:
        self._path = RESULTS / f"{name}.jsonl"
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        self._done: dict[str, Row] = {row["key"]: row for row in map(json.loads, lines)}

    def get(self, key: str, measure: Callable[[], Row]) -> Row:
        """Return the row of a key, measured and written down now if it is not there."""
        if key not in self._done:
            self._done[key] = {"key": key, "date": time.strftime("%Y-%m-%d"), **measure()}
            RESULTS.mkdir(exist_ok=True)
            with self._path.open("a") as out:
                out.write(json.dumps(self._done[key], default=float) + "\n")
                out.flush()
                os.fsync(out.fileno())
        return {name: value for name, value in self._done[key].items() if name not in ("key", "date")}


def finish(name: str, rows: Sequence[Mapping[str, Any]], checks: Sequence[Check]) -> None:
    """Print rows and checks, write `results/NAME.json`, exit with 1 where a check is missed."""
    _print_table(rows)
    for check in checks:
        sign = ">=" if check.at_least else "<="
        word = "kept" if check.kept else "MISSED"
        print(f"{word}: {check.what} = {check.value:.4g} (wanted {sign} {check.bound:g})")
    RESULTS.mkdir(exist_ok=True)
    content = {
        "date": time.strftime("%Y-%m-%d"),
        "command": " ".join(["python", *sys.argv]),
        "python": platform.python_version(),
        "rows": list(rows),
        "checks": [check.__dict__ | {"kept": check.kept} for check in checks],
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1, default=float) + "\n")
    sys.exit(0 if all(check.kept for check in checks) else 1)


def _print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    keys = list(rows[0])
    cells = [[_text(row[key]) for key in keys] for row in rows]
    widths = [max(len(line[index]) for line in [keys, *cells]) for index in range(len(keys))]
    for line in [keys, *cells]:
        print("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
