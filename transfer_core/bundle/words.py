"""How figures and intervals are written in a model card."""

from __future__ import annotations

from collections.abc import Sequence


def ends(bounds: Sequence[float]) -> str:
    """Return an interval of shares as percent, "-" where it has no width."""
    return f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f} %" if bounds[0] < bounds[1] else "-"


def between(bounds: Sequence[float]) -> str:
    """Return an interval in words; of images that are all right or all wrong resampling finds none."""
    return f"95 % interval {ends(bounds)}" if bounds[0] < bounds[1] else "too few images for an interval"
