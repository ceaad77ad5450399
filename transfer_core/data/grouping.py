"""Groups from the paths of files: which part of a path names the patient, the part or the module."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from transfer_core.data.ingest import Candidate
from transfer_core.data.manifest import Manifest
from transfer_core.data.names import short_name
from transfer_core.errors import UserError

PATTERNS = {  # what names usually look like
    "The folder an image lies in": r"([^/]+)/[^/]*$",
    "The file name up to the first _ or -": r"([^/_-]+)[_-][^/]*$",
    "The digits in the file name": r"(\d+)[^/]*$",
}
COLUMN = "The column "  # begins the name of a way by a column of the table of labels


MATCHER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("matcher.py")))
LIMIT = 10.0  # seconds for all paths; an ordinary pattern needs one for a million
LONGEST = 1000  # characters of a pattern


def match_groups(paths: Sequence[str], pattern: str) -> list[str | None]:
    """Return what the pattern's first bracket matches in each path (without a bracket, all of the match); None where nothing.

    UserError where the pattern is none, takes too long, or matches no path at all.
    """
    groups = match_each(paths, pattern)
    if not any(groups):
        example = f", as in {paths[0][:100]}" if paths else ""
        raise UserError(f"The pattern {pattern!r} matches no path{example}.", "bad-pattern")
    return groups


def match_each(paths: Sequence[str], pattern: str) -> list[str | None]:
    """Return the same, also where no path matches.

    In a process beside this one, which is ended after `LIMIT` seconds: the server and its other users go on meanwhile.
    """
    if len(pattern) > LONGEST:
        raise UserError(f"A pattern has at most {LONGEST:,} characters: make it shorter.", "bad-pattern")
    request = json.dumps([pattern, list(paths)]).encode()
    try:
        done = subprocess.run(MATCHER, input=request, capture_output=True, timeout=LIMIT, check=True)
        answer = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError):
        message = f"The pattern {pattern!r} takes too long on these names: make it simpler."
        raise UserError(message, "bad-pattern") from None
    if "groups" in answer:
        return [short_name(each) for each in answer["groups"]]
    where = f" at character {answer['at'] + 1}" if answer["at"] is not None else ""
    message = f"The pattern {pattern!r} cannot be read{where}: check brackets, backslashes and repetitions."
    raise UserError(message, "bad-pattern")


def offer_ways(manifest: Manifest) -> dict[str, list[str | None]]:
    """Return the ways to tell groups that could mean something here, each with a group per row; the finest first.

    By the usual patterns on paths, and by the columns of the table of labels. Left out are those that only say what is
    known, the class or the domain, and those in which no two images belong together or all do.
    """
    rows = manifest.rows
    ways: dict[str, list[str | None]] = {}
    for name, pattern in PATTERNS.items():
        with suppress(UserError):  # on endless names the usual patterns take too long, too
            ways[name] = match_each([row.path for row in rows], pattern)
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
