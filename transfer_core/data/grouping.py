"""Groups from the paths of files: which part of a path names the patient, the part or the module."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from transfer_core.data.ingest import Candidate
from transfer_core.data.manifest import Manifest
from transfer_core.errors import UserError

PATTERNS = {  # what names usually look like
    "The folder an image lies in": r"([^/]+)/[^/]*$",
    "The file name up to the first _ or -": r"([^/_-]+)[_-][^/]*$",
    "The digits in the file name": r"(\d+)[^/]*$",
}
COLUMN = "The column "  # begins the name of a way by a column of the table of labels


def match_groups(paths: Sequence[str], pattern: str) -> list[str | None]:
    """Return what the pattern's first bracket matches in each path (without a bracket, all of the match); None where nothing.

    UserError where the pattern is none, or matches no path at all.
    """
    compiled = compile_pattern(pattern)
    groups = [group_of(path, compiled) for path in paths]
    if not any(groups):
        example = f", as in {paths[0]}" if paths else ""
        raise UserError(f"The pattern {pattern!r} matches no path{example}.", "bad-pattern")
    return groups


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return a regular expression; UserError, with the place of the mistake, where the text is none."""
    try:
        return re.compile(pattern)
    except re.error as error:
        where = f" at character {error.pos + 1}" if error.pos is not None else ""
        message = (
            f"The pattern {pattern!r} cannot be read{where}: check brackets, backslashes and repetitions."
        )
        raise UserError(message, "bad-pattern") from None


def group_of(path: str, pattern: re.Pattern[str]) -> str | None:
    """Return what the first bracket matches in a path (without a bracket, all of the match); None where nothing."""
    match = pattern.search(path)
    return (match.group(1 if pattern.groups else 0) or None) if match else None


def offer_ways(manifest: Manifest) -> dict[str, list[str | None]]:
    """Return the ways to tell groups that could mean something here, each with a group per row; the finest first.

    By the usual patterns on paths, and by the columns of the table of labels. Left out are those that only say what is
    known, the class or the domain, and those in which no two images belong together or all do.
    """
    rows = manifest.rows
    ways = {
        name: [group_of(row.path, re.compile(pattern)) for row in rows] for name, pattern in PATTERNS.items()
    }
    for name in sorted({name for row in rows for name in row.extra}):
        ways[f"{COLUMN}{name}"] = [row.extra.get(name) for row in rows]
    known = [
        _partition([(row.label, row.domain) for row in rows]),
        _partition([row.label for row in rows]),
        _partition([row.domain for row in rows]),
    ]
    useful: dict[str, int] = {}  # the number of groups
    for name, groups in ways.items():
        n = len({group for group in groups if group})
        partition = _partition(groups)
        if 1 < n < len(rows) - groups.count(None) and partition not in known:
            useful[name] = n
            known.append(partition)
    return {name: ways[name] for name in sorted(useful, key=lambda name: -useful[name])}


def _partition(values: Sequence[object]) -> list[int]:
    """Return numbers that are equal where the values are: the same list for the same partition under other names."""
    first: dict[object, int] = {}
    return [first.setdefault(value, len(first)) for value in values]


def group_by_path(candidates: Sequence[Candidate], pattern: str) -> list[Candidate]:
    """Return the candidates with groups from their paths; where the pattern does not match, the group stays."""
    groups = match_groups([each.path for each in candidates], pattern)
    return [replace(each, group=group or each.group) for each, group in zip(candidates, groups, strict=True)]
