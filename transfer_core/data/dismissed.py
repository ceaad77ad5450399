"""Findings that somebody looked at and left as they are: what was decided of a data set holds in its later versions."""

from __future__ import annotations

from transfer_core.data.alike import get_alike
from transfer_core.data.health import Finding, get_findings
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest
from transfer_core.errors import UserError


def get_dismissed(library: Library, manifest: Manifest) -> list[str]:
    """Return the kinds of findings that were left as they are, here or, where nothing new stands out, in the version before.

    A kind is taken over when all its findings show only images that were seen when it was left: one further image asks anew.
    """
    own = library.dismissed(manifest.id)
    if own is not None or manifest.parent is None:
        return own or []
    try:
        parent = library.get(manifest.parent)
    except UserError:  # it was deleted
        return []
    before = get_dismissed(library, parent)
    if not before:
        return []
    seen, now = get_findings(library, parent), get_findings(library, manifest)
    taken = [kind for kind in before if _is_known(kind, seen, now)]
    library.set_dismissed(manifest.id, taken)
    return taken


def _is_known(kind: str, seen: list[Finding], now: list[Finding]) -> bool:
    """Tell whether each finding of a kind was there before, with at least these images."""
    older, newer = ([each for each in those if each.kind == kind] for those in (seen, now))
    return all(
        any(
            set(each.images) <= set(other.images) if each.images else each.message == other.message
            for other in older
        )
        for each in newer
    )


def get_held(library: Library, manifest: Manifest) -> list[list[str]]:
    """Return the look-alikes that a split holds on one side: all, unless somebody looked at them and left them as they are."""
    if "near-duplicates" in get_dismissed(library, manifest):
        return []
    return get_alike(library, manifest)
