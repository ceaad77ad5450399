"""One row for each file content, whatever names and labels it came under."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import replace

from transfer_core.data.manifest import Problem, Row


def settle_duplicates(rows: list[Row], known: Set[str]) -> tuple[list[Row], list[Problem]]:
    """Keep one row per file content; contents with two labels stand without one, because one is wrong.

    Which row is kept does not depend on the order in which they came: one with a label, one that was here, the first by path.
    """
    together: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        together[row.image].append(row)
    kept: list[Row] = []
    problems: list[Problem] = []
    for same in together.values():
        same.sort(key=lambda row: (row.label is None, row.path not in known, row.path))
        best = same[0]
        labels = sorted({label for row in same for label in (row.label, *row.claims) if label is not None})
        merged = _merged(same)
        if len(labels) > 1:
            kept.append(replace(merged, label=None, claims=tuple(labels)))
            text = f"the same image stands under {' and '.join(labels)}; it is kept without a label until one is chosen"
            problems += [Problem(row.path, "conflict", text) for row in same if len(same) > 1]
            continue
        kept.append(merged)
        problems += [
            Problem(row.path, "duplicate", _why_once(best, row, merged)) for row in same if row is not best
        ]
    return kept, problems


def _why_once(best: Row, other: Row, kept: Row) -> str:
    """Say what became of a copy, and what it says otherwise than the row that was kept."""
    if other.given != best.given:
        return f"the same image is in two parts; it is kept in {best.given or 'no part'} ({best.path}) only"
    text = f"the same image as {best.path}; it is counted once"
    for word in ("domain", "group"):
        own, taken = getattr(other, word), getattr(kept, word)
        if own is not None and own != taken:
            text += f", in the {word} {taken} and not in {own}"
    return text


def _merged(same: Sequence[Row]) -> Row:
    """Return the first of several rows of one image, with what only the others say."""
    if len(same) == 1:
        return same[0]

    def first(name: str) -> str | None:
        return next((value for row in same if (value := getattr(row, name)) is not None), None)

    extra = {name: value for row in reversed(same) for name, value in row.extra.items()}
    return replace(same[0], group=first("group"), domain=first("domain"), extra=extra)
