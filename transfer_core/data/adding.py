"""Images that are added to a data set: what is known of it is used for them, and what is then missing is told."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from transfer_core.data.grouping import match_each
from transfer_core.data.ingest import Candidate
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest, Problem
from transfer_core.errors import UserError


def fit_in(
    candidates: Sequence[Candidate], parent: Manifest, library: Library
) -> tuple[list[Candidate], list[Problem]]:
    """Return the candidates with groups by the rule of the data set they are added to, and what they lack beside it.

    A DICOM file may still name its patient when it is read; so a missing group is told only of a set whose groups came
    from elsewhere.
    """
    pattern = library.about(parent.id).group_pattern
    found = list(candidates)
    if pattern:
        groups: list[str | None] = []
        with suppress(UserError):  # what has no group is told below, whatever the reason
            groups = match_each([each.path for each in found], pattern)
        found = [
            each if each.group or each.person else replace(each, group=group)
            for each, group in zip(found, groups or [None] * len(found), strict=True)
        ]
    problems = []
    n = sum(each.domain is None for each in found)
    if parent.domains and n:
        known = ", ".join(list(parent.domains)[:4]) + (", ..." if len(parent.domains) > 4 else "")
        text = f"{_those(n)} added without a domain, and the data set has {known}: bring them in a folder named so"
        problems.append(Problem("", "no-domain", text))
    n = sum(each.group is None and each.person is None for each in found)
    if parent.groups and n and not _are_patients(parent):
        how = (
            "the rule by which its groups were made does not fit their names"
            if pattern
            else "how was not kept"
        )
        text = f"{_those(n)} added without a group ({how}): say on the Data page which images belong together"
        problems.append(Problem("", "no-group", text))
    return found, problems


def _those(n: int) -> str:
    return "1 image was" if n == 1 else f"{n:,} images were"


def _are_patients(parent: Manifest) -> bool:
    return all(group.startswith("patient ") for group in parent.groups)
