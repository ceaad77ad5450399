"""Words in a terminal. Whatever somebody brought goes through `shown`, whatever is printed through `tell`.

A terminal obeys control characters: a class called ESC ]0;... would rename its window, or worse.
"""

from __future__ import annotations

import re
import sys
from typing import TextIO

LONGEST = 200  # characters of a name on one line
WIDEST = 4000  # characters of a line
_SPOKEN = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")  # what JSON leaves as it is


def shown(name: object) -> str:
    """Return a name as one short line: what cannot be printed as a sign for it, the middle of a long one left out."""
    return _plain(str(name), LONGEST)


def tell(text: str, file: TextIO | None = None) -> None:
    """Print lines, on stdout unless told otherwise, and nothing that a terminal would obey."""
    print("\n".join(_plain(line, WIDEST) for line in text.split("\n")), file=file or sys.stdout)


def _plain(line: str, longest: int) -> str:
    if len(line) > longest:
        half = longest // 2 - 2
        line = f"{line[:half]} … {line[-half:]}"
    return line if line.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in line)


def tell_json(text: str) -> None:
    """Print a JSON text; what a terminal would obey is written as JSON's own escapes, so that the value is the same."""
    print(_SPOKEN.sub(lambda each: f"\\u{ord(each[0]):04x}", text))
