"""The runs that wait, as the store has them now; each can be taken out of the queue, or all."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.ui.saying import clicked
from pages.ui.state import get_glance, get_lab
from pages.ui.stopping import stop_button
from pages.ui.text import ago, escape, plural
from transfer_core.runs.run import Run


def show_waiting(beside: str) -> None:
    """Show the runs that wait but for one, the next one first; nothing where none does. Called from a fragment that ticks."""
    waiting = [each for each in get_glance().store.runs(states=("queued",)) if each.id != beside]
    if not waiting:
        return
    st.markdown("#### Waiting")
    for each in reversed(waiting):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{escape(each.name)}, {ago(each.created)}", width="stretch")
            stop_button(each, "Cancel", key=f"cancel-{each.id}", icon=":material/close:", stop=_cancel_one)
    if len(waiting) > 1:
        st.button(
            "Cancel all that wait", icon=":material/clear_all:", on_click=clicked(_cancel), args=(waiting,)
        )


def _cancel_one(run: Run, *, with_twin: bool = False) -> None:
    twin = get_lab().waiting_twin(run) if with_twin else None
    _cancel([run, *([twin] if twin else [])])


def _cancel(found: Sequence[Run]) -> None:
    """Take runs out of the queue; one that began to train meanwhile is left alone, it has a stop button of its own."""
    lab = get_lab()
    now = {each.id for each in lab.store.runs(states=("queued",))}
    waiting = [each for each in found if each.id in now]
    for each in waiting:
        lab.stop(each)
    st.toast(
        f"Cancelled {plural(len(waiting), 'run')}; they stay under Runs, to be started again.",
        icon=":material/close:",
    )
