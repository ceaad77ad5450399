"""Groups from the paths of files: which part of a path names the patient, the part or the module."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from transfer_core.data.ingest import Candidate
from transfer_core.errors import UserError


def group_by_path(candidates: Sequence[Candidate], pattern: str) -> list[Candidate]:
    """Return the candidates with groups: what the pattern's first bracket matches in each path.

    Without a bracket, all of the match. A path that does not match keeps the group it has.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"The pattern {pattern!r} is no regular expression ({error}).", "bad-pattern"
        ) from None
    matches = [compiled.search(each.path) for each in candidates]
    if not any(matches):
        example = f" as in {candidates[0].path}" if candidates else ""
        raise UserError(f"The pattern {pattern!r} matches no path{example}.", "bad-pattern")
    return [
        replace(each, group=_name(match) or each.group) if match else each
        for each, match in zip(candidates, matches, strict=True)
    ]


def _name(match: re.Match[str]) -> str:
    return (match.group(1) if match.re.groups else match.group(0)) or ""
