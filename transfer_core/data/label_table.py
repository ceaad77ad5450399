"""A table of labels (CSV) laid over images: which column names the file, which the class, which the group.

Nothing outside the images that were brought is ever opened: a row only says something of a file that is there.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transfer_core.data.column_names import (
    DOMAIN_WORDS,
    GROUP_WORDS,
    LABEL_WORDS,
    PATH_WORDS,
    is_like_label,
    names_person,
    rank,
)
from transfer_core.data.ingest import Candidate
from transfer_core.data.manifest import Problem
from transfer_core.data.names import short_name
from transfer_core.data.problems import Problems
from transfer_core.errors import UserError

MAX_ROWS = 2_000_000
DELIMITERS = ",;\t|"


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
    """Which column means what. `extra`: the further labels to keep, None for those that look like labels (`pick_extra`)."""

    path: str
    label: str
    domain: str | None = None
    group: str | None = None
    extra: tuple[str, ...] | None = None

    @property
    def used(self) -> list[str]:
        """The columns that have a meaning of their own."""
        return [each for each in (self.path, self.label, self.domain, self.group) if each is not None]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Columns:
        """Return the columns that `asdict` described."""
        extra = data.get("extra")
        return cls(**{**data, "extra": None if extra is None else tuple(extra)})


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
    columns = tuple(short_name(cell.strip()) for cell in rows[0])
    if len(columns) < 2 or len(rows) < 2 or len(set(columns)) < len(columns):
        message = "needs a first line of different column names, and at least two columns: file and class"
        raise UserError(f"{name} {message}.", "no-table")
    width = len(columns)
    cells = tuple(tuple(cell.strip() for cell in (*row, *[""] * width)[:width]) for row in rows[1:])
    return Table(columns, cells, encoding, delimiter)


def guess_columns(
    table: Table,
    candidates: Sequence[Candidate],
    *,
    path: str | None = None,
    label: str | None = None,
    domain: str | None = None,
    group: str | None = None,
    extra: tuple[str, ...] | None = None,
) -> Columns:
    """Return what each column means: as it is given ("" for none), else as its name and cells say.

    UserError where a given one is not there, none names the files, or several could name the classes.
    """
    taken = {each for each in (path, label, domain, group, *(extra or ())) if each}
    for name in taken:
        table.column(name)
    path = path or guess_path(table, candidates, taken)
    group = guess_group(table, {path, *taken}) if group is None else group
    domain = guess_domain(table, {path, group or "", *taken}) if domain is None else domain
    label = label or guess_label(table, {path, group or "", domain or "", *taken})
    return Columns(path, label, domain or None, group or None, extra)


def guess_path(table: Table, candidates: Sequence[Candidate], taken: Collection[str] = ()) -> str:
    """Return the column whose cells name most files."""
    finder = _Finder(candidates)

    def hits(name: str) -> tuple[int, int]:
        return sum(finder.find(cell) is not None for cell in table.column(name)[:1000]), rank(
            name, PATH_WORDS
        )

    free = [name for name in table.columns if name not in taken]
    path = max(free, key=hits, default="")
    if not free or not hits(path)[0]:
        likely = max(free or table.columns, key=lambda name: rank(name, PATH_WORDS))
        named = next((cell for cell in table.column(likely) if cell), "")
        brought = f" {candidates[0].path} was brought;" if candidates else ""
        message = (
            f"No column of the table names the files that were brought:{brought} the table says {named}, for example. "
            "It needs a column with the file names or their paths."
        )
        raise UserError(message, "no-column")
    return path


def guess_label(table: Table, taken: Collection[str]) -> str:
    """Return the column with a usual name for labels, else the only one whose cells look like labels.

    UserError, with those that could be meant, where it is unclear: a wrong class is worse than a question.
    """
    free = [name for name in table.columns if name not in taken]
    named = [name for name in free if rank(name, LABEL_WORDS) and not names_person(name)]
    if named:
        return max(named, key=lambda name: rank(name, LABEL_WORDS))
    impersonal = [name for name in free if not names_person(name)]
    likely = [name for name in impersonal if is_like_label(table.column(name))]
    for found in (likely, impersonal, free):
        if len(found) == 1:
            return found[0]
    which = likely or impersonal or free
    if not which:
        raise UserError("The table has no column left for the classes.", "unclear-column")
    message = f"Which column names the classes is unclear: {', '.join(which)} could. Say which one it is."
    raise UserError(message, "unclear-column")


def guess_group(table: Table, taken: Collection[str]) -> str | None:
    """Return the column whose name says patient, part, module or the like; None where none does."""
    return _best(table, GROUP_WORDS, taken)


def guess_domain(table: Table, taken: Collection[str]) -> str | None:
    """Return the column whose name says site, device or the like; None where none does."""
    return _best(table, DOMAIN_WORDS, taken)


def _best(table: Table, words: Sequence[str], taken: Collection[str]) -> str | None:
    fitting = [name for name in table.columns if name not in taken and rank(name, words)]
    return max(fitting, key=lambda name: rank(name, words), default=None)


def pick_extra(table: Table, used: Collection[str]) -> tuple[str, ...]:
    """Return the further columns worth keeping: they look like labels, and their names do not speak of a person."""
    return tuple(
        name
        for name in table.columns
        if name not in used and not names_person(name) and is_like_label(table.column(name))
    )


def settle(table: Table, columns: Columns) -> Columns:
    """Return the columns with `extra` chosen; UserError where one is not in the table or means two things."""
    for name in (*columns.used, *(columns.extra or ())):
        table.column(name)
    if len(set(columns.used)) < len(columns.used):
        twice = next(name for name in columns.used if columns.used.count(name) > 1)
        message = f"The column {twice} is given twice: files, classes, domains and groups need a column each."
        raise UserError(message, "column-twice")
    extra = pick_extra(table, columns.used) if columns.extra is None else columns.extra
    return replace(columns, extra=tuple(name for name in extra if name not in columns.used))


def lay_over(
    table: Table, columns: Columns, candidates: Sequence[Candidate]
) -> tuple[list[Candidate], list[Problem]]:
    """Return the candidates with what the table says of them, and the rows and files that do not go together.

    An image that the table does not name is brought without a label; rows that contradict each other leave theirs
    without one, because at least one of them is wrong. Groups of a column that speaks of a person are handed on as
    persons: what is stored of them is a salted hash.
    """
    columns = settle(table, columns)
    finder = _Finder(candidates)
    said: dict[str, list[dict[str, str]]] = defaultdict(list)
    problems = Problems()
    paths = table.column(columns.path)
    for path, row in zip(paths, table.rows, strict=True):
        found = finder.find(path)
        if found is None:
            problems.add(Problem(path, *_why_not(path, finder)))
        else:
            said[found].append(dict(zip(table.columns, row, strict=True)))
    result = []
    for each in candidates:
        rows = said.get(each.path, [])
        labels = {row[columns.label] for row in rows}
        if not rows:
            problems.add(
                Problem(each.path, "not-in-table", "the table does not name it; brought without a label")
            )
        elif len(labels) > 1:
            text = (
                f"the table calls it {' and '.join(map(short_name, sorted(labels)))}; brought without a label"
            )
            problems.add(Problem(each.path, "conflict", text))
        result.append(_told(each, rows[0] if rows else {}, columns, labels))
    return result, problems.list()


def _told(candidate: Candidate, row: dict[str, str], columns: Columns, labels: Iterable[str]) -> Candidate:
    extra = {name: short_name(cell) for name in columns.extra or () if (cell := row.get(name, ""))}
    clean = sorted({short_name(unicodedata.normalize("NFC", label)) for label in labels} - {""})
    told = replace(
        candidate,
        label=clean[0] if len(clean) == 1 and len(set(labels)) == 1 else None,
        claims=tuple(clean) if len(clean) > 1 else (),
        domain=short_name(row.get(columns.domain or "") or None) if columns.domain else candidate.domain,
        extra={**candidate.extra, **extra},
    )
    if columns.group is None:
        return told
    group = row.get(columns.group) or None
    return (
        replace(told, person=group) if names_person(columns.group) else replace(told, group=short_name(group))
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
