"""How a share is written."""

from __future__ import annotations


def percent(share: float, digits: int = 1) -> str:
    """Return a share as percent; what is not all is not called so."""
    if share < 1 and round(100 * share, digits) == 100:
        return f"> {100 - 10.0**-digits:.{digits}f} %"
    return f"{100 * share:.{digits}f} %"
