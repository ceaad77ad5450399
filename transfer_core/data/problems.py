"""Many problems of one kind as some examples and a number: a table with a million wrong rows is one mistake, not a million."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Self

from transfer_core.data.manifest import Problem

EXAMPLES = 200  # of one kind that are kept whole
LONGEST = 500  # characters of a file's name, and of what is said of it


class Problems:
    """What was found so far, by kind: the first ones whole, the rest as a number. Memory is bounded, whatever comes."""

    def __init__(self, found: Iterable[Problem] = ()) -> None:
        self._kept: dict[Problem, None] = {}
        self._counts: Counter[str] = Counter()
        self._more: Counter[str] = Counter()
        self.extend(found)

    def add(self, problem: Problem) -> None:
        """Take one in; the same one again counts once."""
        short = Problem(_cut(problem.file), problem.kind, _cut(problem.message))
        if problem.more:
            self._more[problem.kind] += problem.more
        elif short in self._kept:
            return
        elif self._counts[problem.kind] < EXAMPLES:
            self._counts[problem.kind] += 1
            self._kept[short] = None
        else:
            self._more[problem.kind] += 1

    def extend(self, found: Iterable[Problem]) -> Self:
        """Take several in."""
        for each in found:
            self.add(each)
        return self

    def list(self) -> list[Problem]:
        """Return the examples in their order, then for each kind with more of them one that says how many."""
        return [
            *self._kept,
            *(Problem("", kind, f"{n:,} more like these", n) for kind, n in self._more.items()),
        ]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[3 - LONGEST // 2 :]}"


def bounded(found: Iterable[Problem]) -> list[Problem]:
    """Return the same problems with at most `EXAMPLES` of a kind. What is bounded already stays as it is."""
    return Problems(found).list()


def count_problems(found: Iterable[Problem]) -> Counter[str]:
    """Return how many there are of each kind, those counted that are only a number."""
    counts: Counter[str] = Counter()
    for each in found:
        counts[each.kind] += each.more or 1
    return counts
