"""The sidebar: the chosen data set and run, then the pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.ui.following import now_or_next
from pages.ui.parts import STATES
from pages.ui.state import choose, chosen, chosen_runs, get_intake, get_lab, go, known_data, link_params
from pages.ui.text import distinct, escape, right_on
from transfer_core.runs.recipes import name_apart
from transfer_core.runs.run import Run


def show_sidebar(pages: Mapping[str, Sequence[Any]], here: str) -> None:
    """Show pickers and links; a link carries the choice, so that a page can be reloaded or sent. `here`: the page's title."""
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
        _show_arrivals(here)


def _show_arrivals(here: str) -> None:
    """Show what is on its way, but for what the Data page waits for itself."""
    waited = st.session_state.get("arrival") if here == "Data" else None
    others = [each for each in get_intake().arrivals() if not each.is_over and each.id != waited]
    if others:
        st.caption("On its way")
        _watch([each.id for each in others])


@st.fragment(run_every=1.0)
def _watch(arrivals: Sequence[str]) -> None:
    for arrival in filter(None, map(get_intake().get, arrivals)):
        if arrival.is_over:
            told = arrival.error or "it is here now, under Data set."
            st.session_state["receipt"] = f"{escape(arrival.name)}: {escape(told)}"
            st.rerun()
        share = arrival.done / arrival.total if arrival.total else 0.0
        st.progress(share, escape(arrival.name))
        if st.button(f"{arrival.doing}: {arrival.done:,} of {arrival.total:,}", type="tertiary", key=arrival.id,
                     help="Wait for it on the Data page"):  # fmt: skip
            st.session_state["arrival"] = arrival.id
            go("study/data.py")


def _pick_data() -> None:
    lab = get_lab()
    names = {each.id: each.name for each in lab.library.datasets() if not each.damage}
    run = next((each for each in lab.store.runs() if each.id == chosen("run")), None)
    if run and run.manifest in names:
        choose(data=run.manifest)  # a link may name a run alone
    _pick("data", "Data set", names)


def _pick_run() -> None:
    if chosen("data") and not known_data():
        return  # no run of another data set is taken instead
    # First what trains, then what has a report: the first is chosen where nobody chose.
    runs = chosen_runs(known_data())
    first = now_or_next(runs)
    runs.sort(key=lambda run: (run is not first, run.is_over, not run.result))
    names = name_apart(runs)
    _pick("run", "Run", {run.id: f"{names[run.id]}{_outcome(run)}" for run in runs})


def _outcome(run: Run) -> str:
    """Return what came of a run; what still changes is not said here, where nothing ticks."""
    if run.result:
        return f" ({right_on(get_lab().tested(run))})"
    return f" ({STATES[run.state][2].lower()})" if run.is_over else ""


def _pick(key: str, label: str, names: Mapping[str, str]) -> None:
    """Show a picker of what there is; a choice that is not there stays for the page to tell so.

    Names that repeat are told apart: of two options that look the same, the first would be taken for either.
    """
    if not names:
        return
    names = distinct(names)
    widget, wanted = f"pick-{key}", chosen(key)
    if wanted is None:
        wanted = next(iter(names))
        choose(**{key: wanted})
    # The choice is the one truth: a value of the widget's own would be a choice behind.
    st.session_state[widget] = wanted if wanted in names else None

    def take() -> None:
        picked = st.session_state[widget]
        if picked:
            choose(**({"data": picked, "split": None, "run": None} if key == "data" else {key: picked}))

    st.selectbox(
        label,
        list(names),
        index=0 if wanted in names else None,
        key=widget,
        format_func=lambda each: names[each],
        on_change=take,
    )
