"""The images behind a figure: any cell or point of a report opens its own, the most surprising first."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.ui.parts import gallery
from pages.ui.text import escape, percent, plural
from transfer_core.evaluation.cases import Cases

PER_PAGE = 18
FIRST = 12


def open_images(run: str, **which: str) -> None:
    """Let a report show the images of a label, of what was said, of a domain or a group."""
    st.session_state[f"opened-{run}"] = which


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

    st.plotly_chart(
        figure, key=key, on_select=take, selection_mode="points", config={"displayModeBar": False}, alt=alt
    )


def show_opened(run: str, cases: Cases) -> None:
    """Show the images that were opened; the worst mistakes where none were."""
    which = opened(run)
    if not which:
        _worst(cases)
        return
    places = cases.find(**which)  # type: ignore[arg-type]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"#### {_title(which)}: {plural(len(places), 'image')}")
        st.button(
            "Back to the worst mistakes",
            type="tertiary",
            icon=":material/close:",
            on_click=open_images,
            args=(run,),
        )
    pages = max(1, -(-len(places) // PER_PAGE))
    key = "-".join([run, *(f"{name}={value}" for name, value in which.items())])
    number = st.pagination(pages, key=f"opened-page-{key}") if pages > 1 else 1
    shown = places[(number - 1) * PER_PAGE : number * PER_PAGE].tolist()
    gallery([cases.rows[place] for place in shown], [_caption(cases, place) for place in shown], key="opened")


def _worst(cases: Cases) -> None:
    st.markdown("#### Worst mistakes")
    wrong = cases.find(wrong=True)[:FIRST].tolist()
    if not wrong:
        st.caption("None on the unseen images.")
        return
    st.caption("Wrong and most sure of it, first. Some may be wrong labels.")
    gallery([cases.rows[place] for place in wrong], [_caption(cases, place) for place in wrong], key="worst")


def _title(which: dict[str, str]) -> str:
    """Return in words what was opened."""
    words = {"label": "Is", "said": "said", "domain": "Domain", "group": "Group"}
    return ", ".join(f"{words[name]} {escape(value)}" for name, value in which.items())


def _caption(cases: Cases, place: int) -> str:
    """Return what an image is and was said to be, how surely, and its file."""
    row, said = cases.rows[place], int(cases.said[place])
    sure = f"{percent(float(cases.probabilities[place, said]), 0)} sure"
    right = cases.truth[place] == said
    told = f"is {escape(row.label)}" + ("" if right else f", said {escape(cases.classes[said])}")
    return f"{told} · {sure}  \n{escape(row.path.rpartition('/')[2])}"
