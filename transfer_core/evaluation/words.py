"""How figures and intervals are written: on every page, on the command line, in the model card, the report and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NOTHING = "-"  # what is not defined, or has no width
NO_INTERVAL = "too few images for an interval"


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as percent; what is not all is not called so, nor none."""
    if share is None:
        return NOTHING
    least = 10.0**-digits
    if share < 1 and f"{100 * share:.{digits}f}" == f"{100:.{digits}f}":
        return f"> {100 - least:.{digits}f} %"
    if share > 0 and f"{100 * share:.{digits}f}" == f"{0:.{digits}f}":
        return f"< {least:.{digits}f} %"
    return f"{100 * share:.{digits}f} %"


def interval(bounds: Sequence[float] | None) -> str:
    """Return an interval of shares as percent; of images that are all right or all wrong resampling finds none."""
    if bounds is None or not bounds[0] < bounds[1]:
        return NOTHING
    return f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}"


def between(bounds: Sequence[float] | None) -> str:
    """Return a 95 % interval of a share in words."""
    found = interval(bounds)
    return NO_INTERVAL if found == NOTHING else f"95 % interval {found} %"


def coefficient(value: float | None, bounds: Sequence[float] | None, digits: int = 2) -> str:
    """Return a figure that is no share, such as kappa or an area, with its 95 % interval."""
    if value is None or bounds is None or not bounds[0] < bounds[1]:
        return f"{NOTHING if value is None else format(value, f'.{digits}f')} ({NO_INTERVAL})"
    return f"{value:.{digits}f} (95 % interval {bounds[0]:.{digits}f} to {bounds[1]:.{digits}f})"


def provisional(accuracy: float, bounds: Sequence[float], trained: int, tested: int) -> str:
    """Return a first answer from a sample in a sentence."""
    return (
        f"First look: {percent(accuracy)} right ({between(bounds)}) on {tested:,} validation images, after learning from "
        f"{trained:,}. The result from all images follows."
    )


def by_hand(test: Mapping[str, Any]) -> str:
    """Return a note on figures whose labels somebody gave after training; nothing of others."""
    if not (test.get("labelled_by_hand") and test["n"]):
        return ""
    return f"labelled by hand, {test['n']:,} image{'s' * (test['n'] != 1)}"


def undefined(test: Mapping[str, Any]) -> list[str]:
    """Return why figures of some classes are not defined, a sentence for each kind."""
    names = [
        ", ".join(each["class"] for each in test["per_class"] if each[key] is None)
        for key in ("precision", "recall")
    ]
    told = []
    if names[0]:
        told.append(f"Never said of these images, so that precision is not defined: {names[0]}.")
    if names[1]:
        told.append(f"Not among these images, so that recall is not defined: {names[1]}.")
    return told
