"""The images behind a figure: any cell or point of a report opens its own, the most surprising first."""

from __future__ import annotations

import zlib
from typing import Any

import streamlit as st

from pages.ui.charts import show_chart
from pages.ui.state import get_calibration
from pages.ui.text import escape, plural
from pages.ui.why import Said, show_gallery
from transfer_core.evaluation.cases import Cases
from transfer_core.runs.run import Run

FIRST = 12


def open_images(run: str, **which: str) -> None:
    """Let a report show the images of a label, of what was said, of a domain or a group."""
    st.session_state[f"opened-{run}"] = which
    st.session_state["opened-clicks"] = st.session_state.get("opened-clicks", 0) + 1
    st.session_state["opened-now"] = bool(which)


def opened(run: str) -> dict[str, str]:
    """Return which images a report shows; empty where nobody opened any."""
    which: dict[str, str] = st.session_state.get(f"opened-{run}", {})
    return which


def opening_chart(figure: Any, run: str, what: str, alt: str) -> None:
    """Show a chart whose points open the images of the `what` (label, domain or group) that they stand for."""
    key = f"points-{what}-{run}"

    def take() -> None:
        points = st.session_state[key].selection.points
        if points:
            name = points[0]["customdata"]
            open_images(run, **{what: name if isinstance(name, str) else name[0]})

    show_chart(figure, key=key, on_select=take, selection_mode="points", alt=alt)


def show_opened(run: Run, cases: Cases) -> None:
    """Show the images that were opened; the worst mistakes where none were."""
    which = opened(run.id)
    places = cases.find(**which) if which else cases.find(wrong=True)[:FIRST]  # type: ignore[arg-type]
    with st.container(horizontal=True, vertical_alignment="center", key="opened-images"):
        title = f"{_title(which)}: {plural(len(places), 'image')}" if which else "Worst mistakes"
        st.markdown(f"#### {title}", width="stretch")
        if which:
            st.button("Back to the worst mistakes", type="tertiary", icon=":material/close:", on_click=open_images,
                      args=(run.id,))  # fmt: skip
        heat = len(places) > 0 and st.toggle("Show what it looked at", key="worst-heat")
    _come_into_view()
    if not len(places):
        st.caption("None on the unseen images.")
        return
    st.caption("The most surprising first. Some may be wrong labels.")
    said, sure = cases.said[places], get_calibration(run).calibrated(cases.probabilities[places]).max(1)
    shown = [
        Said(cases.rows[place], "test", cases.classes[number], float(share))
        for place, number, share in zip(places.tolist(), said, sure, strict=True)
    ]
    key = f"opened-{zlib.crc32(repr(which).encode())}" if which else "worst"
    show_gallery(run, shown, key=key, heat=heat)


def _come_into_view() -> None:
    """Bring images that were opened just now into view: what opened them lies further up."""
    if st.session_state.pop("opened-now", False):
        script = "document.querySelector('.st-key-opened-images')?.scrollIntoView({behavior: 'smooth'})"
        clicks = st.session_state["opened-clicks"]  # the same script twice would not run again
        st.html(f"<script>/* {clicks} */ {script}</script>", unsafe_allow_javascript=True)


def _title(which: dict[str, str]) -> str:
    """Return in words what was opened."""
    words = {"label": "Is", "said": "said", "domain": "Domain", "group": "Group"}
    return ", ".join(f"{words[name]} {escape(value)}" for name, value in which.items())
