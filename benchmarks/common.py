"""What every benchmark does: print a table, keep the figures as JSON, fail where a bound is missed."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]
ABOUT = ("key", "measured_with", "date")


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

    A matrix may so be interrupted, and span several sittings. `measured_with` is the key of the day of measuring: `rekey.py`
    may renew the other.
    """

    def __init__(self, name: str, folder: Path = RESULTS) -> None:
        self._path = folder / f"{name}.jsonl"
        self._done: dict[str, Row] = {}
        for line in self._path.read_text().splitlines() if self._path.exists() else []:
            with suppress(json.JSONDecodeError):  # cut off while it was written
                row = json.loads(line)
                self._done[row["key"]] = row

    def get(self, key: str, measure: Callable[[], Row]) -> Row:
        """Return the row of a key, measured and written down now if it is not there."""
        if key not in self._done:
            about = {"key": key, "measured_with": key, "date": time.strftime("%Y-%m-%d")}
            self._done[key] = about | measure()
            self._path.parent.mkdir(exist_ok=True)
            torn = self._path.exists() and not self._path.read_text().endswith("\n")
            with self._path.open("a") as out:
                out.write("\n" * torn + json.dumps(self._done[key], default=float) + "\n")
                out.flush()
                os.fsync(out.fileno())
        return {name: value for name, value in self._done[key].items() if name not in ABOUT}


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
