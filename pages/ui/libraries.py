"""Libraries that must be loaded whole before a page is drawn.

Plotly looks whether one of them is loaded, and uses it, without waiting until it is: of several tabs that are opened at
once on a fresh server, one would break on the half that another has loaded so far.
"""

from __future__ import annotations

import threading
from importlib import import_module

LOOKED_AT = ("numpy", "PIL.Image", "pandas")
_LOCK = threading.Lock()


def load_libraries() -> None:
    """Load them; whoever comes meanwhile waits, whoever comes later pays nothing."""
    with _LOCK:
        for each in LOOKED_AT:
            import_module(each)


def begin_to_load_libraries() -> None:
    """Load them while the browser opens the first page."""
    threading.Thread(target=load_libraries, name="libraries", daemon=True).start()
