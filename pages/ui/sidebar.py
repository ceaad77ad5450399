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
    known = {each.id: each for each in get_lab().library.datasets()}
    if not known:
        return
    wanted = chosen("data")
    ids = list(known)
    index = ids.index(wanted) if wanted in known else 0
    picked = st.selectbox("Data set", ids, index=index, format_func=lambda each: known[each].name)
    if picked and picked != wanted:
        choose(data=picked, split=None)


def _pick_run() -> None:
    known = {run.id: run for run in get_lab().store.runs()}
    if not known:
        return
    wanted = chosen("run")
    ids = list(known)
    index = ids.index(wanted) if wanted in known else 0

    def label(run: str) -> str:
        return f"{known[run].name} ({STATES[known[run].state][2].lower()})"

    picked = st.selectbox("Run", ids, index=index, format_func=label)
    if picked and picked != wanted:
        choose(run=picked)
