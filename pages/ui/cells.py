"""The confusion matrix as buttons: each cell opens the images in it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.ui.opened import open_images, opened
from pages.ui.text import escape

MOST = 8  # classes; beyond that a heat map and two pickers


def confusion_buttons(matrix: Sequence[Sequence[int]], classes: Sequence[str], key: str) -> None:
    """Show the matrix of a run (`key`), rows true and columns predicted; a cell opens its images."""
    which = opened(key)
    cell = (which.get("label"), which.get("said"))
    marked = (
        (classes.index(cell[0]), classes.index(cell[1]))
        if cell[0] in classes and cell[1] in classes
        else None
    )
    st.html(_shades(matrix, key, marked))
    with st.container(key=f"matrix-{key}"):
        head = st.columns([2] + [1] * len(classes), vertical_alignment="bottom")
        head[0].caption("is ↓  said →")
        for column, name in zip(head[1:], classes, strict=True):
            column.markdown(f"**{escape(name)}**")
        for true, row in enumerate(matrix):
            places = st.columns([2] + [1] * len(classes), vertical_alignment="center")
            places[0].markdown(f"**{escape(classes[true])}**")
            for said, count in enumerate(row):
                with places[said + 1], st.container(key=f"cell-{key}-{true}-{said}"):
                    about = f"is {classes[true]}, said {classes[said]}"
                    st.button(
                        f"{count:,}", key=f"open-{key}-{true}-{said}", width="stretch", help=escape(about), disabled=not count,
                        on_click=open_images, args=(key,), kwargs={"label": classes[true], "said": classes[said]},
                    )  # fmt: skip


def _shades(matrix: Sequence[Sequence[int]], key: str, opened: tuple[int, int] | None) -> str:
    """Return styles: each cell shaded by its share of the true class, right ones teal, wrong ones orange.

    The opened cell has a frame.
    """
    rules = []
    for true, row in enumerate(matrix):
        for said, count in enumerate(row):
            share = round(8 + 62 * count / max(sum(row), 1)) if count else 0
            colour = "#0b8f97" if true == said else "#d55e00"
            rules.append(
                f".st-key-cell-{key}-{true}-{said} button{{background:color-mix(in srgb,{colour} {share}%,transparent);"
                "font-variant-numeric:tabular-nums;min-height:3.2rem"
                + (";border:2.5px solid var(--lab-text)}" if opened == (true, said) else "}")
            )
    return f"<style>{''.join(rules)}</style>"
