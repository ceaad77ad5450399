"""Words and numbers on the screen. Every text a user brought goes through `escape`."""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from transfer_core.evaluation.words import between as between
from transfer_core.evaluation.words import by_hand
from transfer_core.evaluation.words import interval as interval
from transfer_core.evaluation.words import percent as percent

_MARKS = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:^=&])")
_LATER = re.compile(
    r"(?<=:)(?=//|[\w+/-]+:)|(?<=www)(?=\.)|(?<=@)(?=[\w-])|(?<=[-<>~])(?=[-=>])", re.IGNORECASE
)
LONGEST = 1000  # characters of a text that somebody brought
_TURNERS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # change the direction of text


def escape(text: object) -> str:
    """Return a text that markdown shows letter by letter: no links, images, icons, colours, arrows or formulas.

    Some of what Streamlit makes of a text it looks for after backslashes are gone: bare addresses, icons and arrows. A
    sign that is not seen and has no width (word joiner) keeps these apart. The middle of an endless text is left out.
    """
    shown = str(text)
    if len(shown) > LONGEST:
        shown = f"{shown[: LONGEST // 2]} … {shown[-LONGEST // 2 :]}"
    shown = "".join(c if c.isprintable() and c not in _TURNERS else "\ufffd" for c in shown)
    return _MARKS.sub(r"\\\1", _LATER.sub("\u2060", shown))


def distinct(names: Mapping[str, str]) -> dict[str, str]:
    """Return the names by id, with the beginning of the id where a name repeats: a picker goes by what it shows."""
    shown = dict(names)
    while len(set(shown.values())) < len(shown):
        counts = Counter(shown.values())
        shown = {key: name if counts[name] == 1 else f"{name} · {key[:8]}" for key, name in shown.items()}
    return shown


def measured(test: Mapping[str, Any]) -> str:
    """Return in words how a model did on unseen images, for the middle of a sentence."""
    if not test["n"]:
        return "not measured, because its unseen images have no labels"
    note = by_hand(test)
    return f"right on {percent(test['accuracy'])} of unseen images{note and f' ({note})'}"


def right_on(test: Mapping[str, Any]) -> str:
    """Return the accuracy on unseen images as percent, or that it cannot be measured without labels."""
    return percent(test["accuracy"]) if test["n"] else "not measurable"


def noted(test: Mapping[str, Any]) -> str:
    """Return the accuracy on unseen images, and that they were labelled by hand where they were."""
    return ", ".join(filter(None, (right_on(test), by_hand(test))))


def duration(seconds: float | None) -> str:
    """Return seconds in words: 40 seconds, 3 minutes, 1.5 hours."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def span(low: float, high: float) -> str:
    """Return "2 to 5 min", "50 s to 3 min"; rounded outwards, so that it stays true."""
    (least, unit), (most, other) = _rounded(low, math.floor), _rounded(high, math.ceil)
    return f"{least:g} to {most:g} {unit}" if unit == other else f"{least:g} {unit} to {most:g} {other}"


def _rounded(seconds: float, whole: Callable[[float], int]) -> tuple[float, str]:
    if seconds <= 90:
        return max(5, 5 * whole(seconds / 5)), "s"
    if seconds < 5400:
        return whole(seconds / 60), "min"
    return whole(seconds / 360) / 10, "h"


def size(number: float) -> str:
    """Return bytes in MB or GB."""
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"


def ago(moment: float) -> str:
    """Return how long ago a time (seconds since 1970) was."""
    seconds = time.time() - moment
    if seconds < 60:
        return "just now"
    if seconds < 86_400:
        return f"{duration(seconds)} ago"
    return time.strftime("%d %b %Y", time.localtime(moment))


def plural(n: int, noun: str, many: str = "") -> str:
    """Return "1 image", "2 images"; thousands separated."""
    return f"{n:,} {noun if n == 1 else many or noun + 's'}"
