"""Names that somebody brought, short enough for every list, chart and file in which they will stand."""

from __future__ import annotations

import hashlib
from typing import overload

LONGEST = 200  # characters of a class, a domain, a group, a column
LONGEST_PATH = 1000  # characters of a file's path; beyond, the file is left out


@overload
def short_name(name: str) -> str: ...
@overload
def short_name(name: None) -> None: ...
def short_name(name: str | None) -> str | None:
    """Return a name; of one that is too long the beginning and a hash, so that two different ones stay different."""
    if name is None or len(name) <= LONGEST:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{name[: LONGEST - 14]}… ({digest[:10]})"
