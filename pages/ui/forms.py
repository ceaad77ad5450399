"""A dataclass of knobs as widgets: a strategy's form is drawn from its fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import streamlit as st

from transfer_core.knobs import Knob, Value


def knob_widget(knob: Knob, value: Value, key: str) -> Value:
    """Show one knob and return its value; the bounds are the knob's own."""
    if knob.type is bool:
        return st.toggle(knob.label, bool(value), key=key, help=knob.help)
    if knob.choices:
        at = knob.choices.index(str(value)) if value in knob.choices else 0
        return str(
            st.selectbox(knob.label, knob.choices, at, lambda each: each or "none", key=key, help=knob.help)
        )
    label = f"{knob.label} ({knob.unit})" if knob.unit else knob.label
    if knob.type is int:
        low = int(knob.low) if knob.low is not None else None
        high = int(knob.high) if knob.high is not None else None
        return int(st.number_input(label, low, high, int(value), key=key, help=knob.help))
    if knob.type is float:
        # Text rather than a stepper: 0.0005 and 1e-5 must both be easy to type and to read.
        return knob.parse(st.text_input(label, f"{float(value):g}", key=key, help=knob.help))
    return st.text_input(label, str(value), key=key, help=knob.help)


def knob_form(
    knobs: Iterable[Knob], values: Mapping[str, Value], prefix: str, columns: int = 2
) -> dict[str, Value]:
    """Show knobs side by side; return their values by name. An impossible one raises UserError."""
    places = st.columns(columns)
    found = {}
    for index, knob in enumerate(knobs):
        with places[index % columns]:
            found[knob.name] = knob_widget(knob, values.get(knob.name, knob.default), f"{prefix}-{knob.name}")
    return found
