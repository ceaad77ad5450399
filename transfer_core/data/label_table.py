"""A table of labels (CSV) laid over images: which column names the file, which the class, which the group.

Nothing outside the images that were brought is ever opened: a row only says something of a file that is there.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from transfer_core.data.ingest import Candidate
from transfer_core.data.manifest import Problem
from transfer_core.errors import UserError

MAX_ROWS = 2_000_000
DELIMITERS = ",;\t|"
_PATH_WORDS = ("file", "filename", "file_name", "path", "image", "image_path", "img", "name", "id")
_LABEL_WORDS = ("label", "class", "category", "target", "diagnosis", "dx", "finding", "grade", "y")


@dataclass(frozen=True)
class Table:
    """A table as text: `rows` have a cell for each of `columns`."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    encoding: str
    delimiter: str

    def column(self, name: str) -> list[str]:
        """Return the cells of a column; UserError where there is no such column."""
        if name not in self.columns:
            known = ", ".join(self.columns)
            raise UserError(f"The table has no column {name!r}; it has {known}.", "no-column")
        at = self.columns.index(name)
        return [row[at] for row in self.rows]


@dataclass(frozen=True)
class Columns:
    """Which column means what. Those not named here are kept beside the label, as further columns."""

    path: str
    label: str
    domain: str | None = None
    group: str | None = None


def read_table(data: bytes, name: str = "the table") -> Table:
    """Return a CSV's cells; delimiter and encoding are found out. UserError where it is no table."""
    encoding = "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        encoding = "cp1252"  # what spreadsheets write in western Europe and America
        text = data.decode(encoding, "replace")
    lines = text.lstrip().splitlines()
    if not lines or "\0" in text:
        raise UserError(f"{name} is not a table: save it as CSV.", "no-table")
    delimiter = max(DELIMITERS, key=lines[0].count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
    except csv.Error as error:
        raise UserError(f"{name} cannot be read as CSV ({error}).", "no-table") from None
    if len(rows) > MAX_ROWS:
        raise UserError(f"{name} has more than {MAX_ROWS:,} rows: bring it in parts.", "too-many")
    columns = tuple(cell.strip() for cell in rows[0])
    if len(columns) < 2 or len(rows) < 2 or len(set(columns)) < len(columns):
        message = "needs a first line of different column names, and at least two columns: file and class"
        raise UserError(f"{name} {message}.", "no-table")
    width = len(columns)
    cells = tuple(tuple(cell.strip() for cell in (*row, *[""] * width)[:width]) for row in rows[1:])
    return Table(columns, cells, encoding, delimiter)


def guess_columns(table: Table, candidates: Sequence[Candidate]) -> Columns:
    """Return the column whose cells name most files, and the one most like a label among the others."""
    finder = _Finder(candidates)

    def hits(name: str) -> tuple[int, int]:
        return sum(finder.find(cell) is not None for cell in table.column(name)[:1000]), _rank(
            name, _PATH_WORDS
        )

    path = max(table.columns, key=hits)
    if not hits(path)[0]:
        message = "No column of the table names the files that were brought: it needs one with the file names or their paths."
        raise UserError(message, "no-column")
    rest = [name for name in table.columns if name != path]
    # Where no name helps: the column of fewest different values, but more than one.
    variety = {name: len({cell for cell in table.column(name) if cell}) for name in rest}
    label = min(rest, key=lambda name: (-_rank(name, _LABEL_WORDS), variety[name] < 2, variety[name]))
    return Columns(path, label)


def _rank(name: str, words: Sequence[str]) -> int:
    return len(words) - words.index(name.lower()) if name.lower() in words else 0


def lay_over(
    table: Table, columns: Columns, candidates: Sequence[Candidate]
) -> tuple[list[Candidate], list[Problem]]:
    """Return the candidates with what the table says of them, and the rows and files that do not go together.

    An image that the table does not name is brought without a label; rows that contradict each other leave theirs
    without one, because at least one of them is wrong.
    """
    finder = _Finder(candidates)
    said: dict[str, list[dict[str, str]]] = defaultdict(list)
    problems: list[Problem] = []
    paths = table.column(columns.path)
    for needed in (columns.label, columns.domain, columns.group):
        if needed is not None:
            table.column(needed)
    for path, row in zip(paths, table.rows, strict=True):
        found = finder.find(path)
        if found is None:
            problems.append(Problem(path, *_why_not(path, finder)))
        else:
            said[found].append(dict(zip(table.columns, row, strict=True)))
    result = []
    for each in candidates:
        rows = said.get(each.path, [])
        labels = {row[columns.label] for row in rows}
        if not rows:
            problems.append(
                Problem(each.path, "not-in-table", "the table does not name it; brought without a label")
            )
        elif len(labels) > 1:
            text = f"the table calls it {' and '.join(sorted(labels))}; brought without a label"
            problems.append(Problem(each.path, "conflict", text))
        result.append(_told(each, rows[0] if rows else {}, columns, labels))
    return result, problems


def _told(candidate: Candidate, row: dict[str, str], columns: Columns, labels: Iterable[str]) -> Candidate:
    used = {columns.path, columns.label, columns.domain, columns.group}
    extra = {name: cell for name, cell in row.items() if name not in used and cell}
    (label,) = labels if len(set(labels)) == 1 else ("",)
    return replace(
        candidate,
        label=unicodedata.normalize("NFC", label) or None,
        domain=(row.get(columns.domain or "") or None) if columns.domain else candidate.domain,
        group=(row.get(columns.group or "") or None) if columns.group else candidate.group,
        extra={**candidate.extra, **extra},
    )


def _why_not(path: str, finder: _Finder) -> tuple[str, str]:
    if (
        "://" in path
        or path.startswith(("/", "\\"))
        or path[1:3] in (":\\", ":/")
        or ".." in Path(path).parts
    ):
        return "outside", "the row names a place outside the images that were brought; only those are read"
    if finder.is_unclear(path):
        return "unclear", "several files have this name; the table must give their folders too"
    return "missing", "the row names a file that was not brought"


class _Finder:
    """Finds the file a cell means: by its path, by the end of its path, by its bare name where only one has it."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self._ends: dict[str, set[str]] = defaultdict(set)
        for each in candidates:
            parts = _plain(each.path).split("/")
            for start in range(len(parts)):
                self._ends["/".join(parts[start:])].add(each.path)
            stem = parts[-1].rpartition(".")[0]
            if stem:  # tables often leave the suffix away
                self._ends[stem].add(each.path)

    def find(self, cell: str) -> str | None:
        """Return the path of the one file that a cell means."""
        found = self._ends.get(_plain(cell), set())
        return next(iter(found)) if len(found) == 1 else None

    def is_unclear(self, cell: str) -> bool:
        """Tell whether several files could be meant."""
        return len(self._ends.get(_plain(cell), ())) > 1


def _plain(path: str) -> str:
    return unicodedata.normalize("NFC", path).replace("\\", "/").removeprefix("./")
