"""What ticks on a page sees the store at a glance, looks after the runs, and says where another program holds it up."""

from __future__ import annotations

import streamlit as st

from pages.ui.state import get_glance, get_lab
from pages.ui.text import duration
from transfer_core.runs.glance import Glance

LASTS = 3.0  # seconds after which it is said


def tend() -> None:
    """Look after the runs, as `Lab.look`; while another program is known to have the store there is nothing to be seen."""
    if _locked_for():
        get_lab().watcher.excuse()
    else:
        get_lab().look()


def say_locked() -> None:
    """Say that what stands here is of before, where another program has kept the store for some time."""
    seconds = _locked_for()
    if seconds > LASTS:
        st.caption(
            f":material/hourglass: Another program has kept the list of runs locked for {duration(seconds)}: this is how it "
            "stood before. Once that program lets go, it goes on by itself."
        )


def _locked_for() -> float:
    store = get_glance().store
    assert isinstance(store, Glance)
    return store.locked_for
