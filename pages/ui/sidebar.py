"""The sidebar: the chosen data set and run, then the pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.ui.parts import STATES
from pages.ui.state import choose, chosen, get_lab, link_params


def show_sidebar(pages: Mapping[str, Sequence[Any]]) -> None:
    """Show pickers and links; a link carries the choice, so that a page can be reloaded or sent."""
    get_lab().look()
    with st.sidebar:
        st.markdown("### :material/biotech: Transfer Lab")
        _pick_data()
        _pick_run()
        params = link_params()
        for section, entries in pages.items():
            if section:
                st.caption(section)
            for page in entries:
                st.page_link(page, query_params=params, width="stretch")


def _pick_data() -> None:
    names = {each.id: each.name for each in get_lab().library.datasets()}
    _pick("data", "Data set", names)


def _pick_run() -> None:
    # First what trains, then what has a report: the first is chosen where nobody chose.
    runs = sorted(get_lab().store.runs(), key=lambda run: (run.is_over, not run.result))
    _pick("run", "Run", {run.id: f"{run.name} ({STATES[run.state][2].lower()})" for run in runs})


def _pick(key: str, label: str, names: Mapping[str, str]) -> None:
    """Show a picker of what there is; a choice that is not there stays for the page to tell so."""
    if not names:
        return
    widget, wanted = f"pick-{key}", chosen(key)
    if wanted is None:
        wanted = next(iter(names))
        choose(**{key: wanted})
    # The choice is the one truth: a value of the widget's own would be a choice behind.
    st.session_state[widget] = wanted if wanted in names else None

    def take() -> None:
        picked = st.session_state[widget]
        if picked:
            choose(**({"data": picked, "split": None} if key == "data" else {key: picked}))

    st.selectbox(
        label,
        list(names),
        index=0 if wanted in names else None,
        key=widget,
        format_func=lambda each: names[each],
        on_change=take,
    )
