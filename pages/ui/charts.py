"""A chart under its title, which stands as text above it: a narrow screen wraps text, and cuts off a title inside a chart."""

from __future__ import annotations

from html import unescape
from typing import Any

import streamlit as st

from pages.ui.text import escape

TITLE = 40  # pixels that a title takes inside a chart


def show_chart(figure: Any, alt: str, **options: Any) -> None:
    """Show a plotly figure with its title above it; `alt` says what it shows to those who cannot see it."""
    if words := figure.layout.title.text:
        st.markdown(f"**{escape(unescape(words))}**")
        margin = (figure.layout.margin.t or TITLE) - TITLE
        figure.update_layout(title=None, height=(figure.layout.height or 450) - TITLE, margin_t=margin)
    st.plotly_chart(figure, config={"displayModeBar": False}, alt=alt, **options)
