"""A knob: a dataclass field that knows its label, help, bounds and unit.

A strategy (or any settings object) is a frozen dataclass whose fields are knobs; its form in the
browser, its `--set name=value` flags and its documentation are all drawn from the same fields.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeVar, cast

from transfer_core.errors import UserError

T = TypeVar("T")
Value = bool | int | float | str


@dataclass(frozen=True)
class Knob:
    """What a form, a flag and a document need to know about one setting."""

    name: str
    type: type
    default: Value
    label: str
    help: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def parse(self, value: object) -> Value:
        """Return `value` (text or typed) as this knob's type, or raise UserError."""
        try:
            parsed = self._convert(value)
        except (TypeError, ValueError):
            raise UserError(f"{self.label} ({self.name}) must be {self._wanted()}, not {value!r}.") from None
        if self.choices and parsed not in self.choices:
            raise UserError(f"{self.label} ({self.name}) must be {self._wanted()}, not {value!r}.")
        if self.type in (int, float) and not self._inside(float(parsed)):
            raise UserError(f"{self.label} ({self.name}) must be {self._wanted()}, not {value!r}.")
        return parsed

    def _convert(self, value: object) -> Value:
        if self.type is bool:
            if isinstance(value, bool):
                return value
            words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
            return words[str(value).lower()] if str(value).lower() in words else _refuse()
        if self.type is int:
            number = float(str(value))
            return int(number) if number.is_integer() else _refuse()
        if self.type is float:
            return float(str(value))
        return str(value)

    def _inside(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        above = self.low is None or value >= self.low
        return above and (self.high is None or value <= self.high)

    def _wanted(self) -> str:
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.type is bool:
            return "yes or no"
        noun = "a whole number" if self.type is int else "a number" if self.type is float else "text"
        unit = f" {self.unit}" if self.unit else ""
        if self.low is not None and self.high is not None:
            return f"{noun} from {self.low:g} to {self.high:g}{unit}"
        return f"{noun} of at least {self.low:g}{unit}" if self.low is not None else noun


def _refuse() -> Value:
    raise ValueError


def knob(
    default: Value,
    label: str,
    help: str,  # noqa: A002 - the field's own word, as in Streamlit and argparse
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Return a dataclass field carrying a Knob's description."""
    about = {"label": label, "help": help, "unit": unit, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata={"knob": about})


def get_knobs(cls: type) -> tuple[Knob, ...]:
    """Return the knobs of a dataclass, in the order they were written."""
    found = []
    for each in fields(cast(Any, cls)):
        about = each.metadata.get("knob")
        if about is not None and each.default is not MISSING:
            found.append(Knob(each.name, type(each.default), each.default, **about))
    return tuple(found)


def make_from_knobs(cls: type[T], values: Mapping[str, object]) -> T:
    """Return an instance of `cls` with `values` parsed and checked; unknown names are refused."""
    known = {each.name: each for each in get_knobs(cls)}
    for name in values:
        if name not in known:
            names = ", ".join(known) or "none"
            raise UserError(f"There is no setting called {name!r} here; the settings are: {names}.")
    return cls(**{name: known[name].parse(value) for name, value in values.items()})
