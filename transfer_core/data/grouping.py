"""Groups from the paths of files: which part of a path names the patient, the part or the module."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from transfer_core.data.ingest import Candidate
from transfer_core.errors import UserError

PATTERNS = {  # what names usually look like
    "The folder an image lies in": r"([^/]+)/[^/]*$",
    "The file name up to the first _ or -": r"([^/_-]+)[_-][^/]*$",
    "The digits in the file name": r"(\d+)[^/]*$",
}


def match_groups(paths: Sequence[str], pattern: str) -> list[str | None]:
    """Return what the pattern's first bracket matches in each path (without a bracket, all of the match); None where nothing.

    UserError where the pattern is none, or matches no path at all.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"The pattern {pattern!r} is no regular expression ({error}).", "bad-pattern"
        ) from None
    matches = [compiled.search(path) for path in paths]
    if not any(matches):
        example = f", as in {paths[0]}" if paths else ""
        raise UserError(f"The pattern {pattern!r} matches no path{example}.", "bad-pattern")
    at = 1 if compiled.groups else 0
    return [(match.group(at) or None) if match else None for match in matches]


def group_by_path(candidates: Sequence[Candidate], pattern: str) -> list[Candidate]:
    """Return the candidates with groups from their paths; where the pattern does not match, the group stays."""
    groups = match_groups([each.path for each in candidates], pattern)
    return [replace(each, group=group or each.group) for each, group in zip(candidates, groups, strict=True)]
