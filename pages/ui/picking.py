"""A table in which one row is picked: picked is what the row stands for, wherever in the table it lies later."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st


def pick_row(
    table: Sequence[Mapping[str, Any]], ids: Sequence[str], *, key: str, alt: str, **options: Any
) -> str | None:
    """Show a table whose rows stand for `ids`; return the id of the ticked row, None where none is ticked.

    A browser tells a row by its position. Other rows, or the same in another order, therefore make another table:
    a click that was meant for the one before picks nothing, and what was picked is ticked where it lies now.
    """
    kept = f"picked-{key}"
    before = st.session_state.get(kept)
    at = [ids.index(before)] if before in ids else []
    found = st.dataframe(
        table, hide_index=True, on_select="rerun", selection_mode="single-row", key=f"{key}-{fingerprint(ids)}",
        selection_default={"selection": {"rows": at}}, alt=alt, **options,
    ).selection.rows  # fmt: skip
    picked = ids[found[0]] if found else None
    if picked or at:  # a filter that hides what was picked does not take the tick away
        st.session_state[kept] = picked
    return picked


def fingerprint(ids: Sequence[str]) -> str:
    """Return what tells these ids in this order from others, for the keys of widgets that count in rows."""
    return f"{zlib.crc32(repr(list(ids)).encode()):08x}"
