"""Stopping a run asks what becomes of the twin that waits for it alone."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from pages.ui.saying import clicked
from pages.ui.state import get_glance, get_lab
from pages.ui.text import escape
from transfer_core.runs.caveats import without
from transfer_core.runs.run import Run


def stop_button(
    run: Run, label: str, *, key: str, icon: str, stop: Callable[..., object] | None = None
) -> None:
    """Show the button that stops a run, or, where its twin would be left waiting, the choice between the two.

    `stop(run, with_twin=...)` is what it does, the lab's own where none is given.
    """
    stop, twin = clicked(stop or get_lab().stop), get_glance().waiting_twin(run)
    if twin is None:
        st.button(label, key=key, icon=icon, on_click=stop, args=(run,))
        return
    verb = "Cancel" if run.state == "queued" else "Stop"
    with st.popover(label, icon=icon):
        st.markdown(
            f"**{escape(twin.name)}** waits in the queue: the same run without {without(run)}, to see whether it helped. "
            "What has a model when it is stopped is compared as it stands."
        )
        st.button(f"{verb} this run only", key=f"{key}-only", on_click=stop, args=(run,))
        st.button(f"{verb} both", key=f"{key}-both", on_click=stop, args=(run,), kwargs={"with_twin": True})
