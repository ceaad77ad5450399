"""Images that name no group beside others that do: a split cannot keep those of one patient or part together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from transfer_core.data.manifest import Manifest, Row

LEAST = 0.5  # of the images that name a group, from which groups are the usual way to split


def names_groups(rows: Iterable[Row]) -> bool:
    """Tell whether so many images name a group that a split by group means something."""
    found = [bool(row.group) for row in rows]
    return any(found) and sum(found) >= LEAST * len(found)


def tell_ungrouped(manifest: Manifest, assignment: Mapping[str, str], *, dealt: bool = True) -> str:
    """Return a sentence on the divided images that name no group; "" where all or none do.

    `dealt`: they were divided one by one, not by folder or domain.
    """
    total = len(assignment)
    n = sum(not manifest.by_image[image].group for image in assignment)
    if not 0 < n < total:
        return ""
    verbs = ("names", "is") if n == 1 else ("name", "are")
    how = f" and {verbs[1]} divided {'alone' if n == 1 else 'one by one'}" if dealt else ""
    images = f"{n:,} of {total:,} images {verbs[0]} no group{how}"
    return f"{images}: those of one patient or part may be on both sides."


def tell_held_out(manifest: Manifest, assignment: Mapping[str, str]) -> str:
    """Return what the test part of a split by group is made of, in words."""
    if all(manifest.by_image[image].group for image in assignment):
        return "whole groups that training never saw"
    held = [manifest.by_image[image] for image, part in assignment.items() if part == "test"]
    groups, alone = len({row.group for row in held if row.group}), sum(not row.group for row in held)
    words = [f"{groups:,} group{'s' * (groups != 1)}"] if groups else []
    if alone:
        words.append(f"{alone:,} single image{'s' * (alone != 1)} that name{'s' * (alone == 1)} no group")
    return " and ".join(words)
