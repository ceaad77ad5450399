"""How far a run is as a whole, as a bar with words: what it does now, of how many, and how long all of it will take."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.ui.text import duration, escape
from transfer_core.runs.progress import standing
from transfer_core.runs.run import Run
from transfer_core.runs.store import RunStore


def show_progress(store: RunStore, run: Run, *, name: str = "") -> dict[str, Any]:
    """Show how far a run is that works, under its name where one is given; return `standing`."""
    now = standing(store, run)
    count = f" ({now['done']:,} of {now['total']:,})" if now["total"] > 1 else ""
    known = run.state != "stopping" and now["left"] is not None
    rest = f" · about {duration(now['left'])} left in all" if known else ""
    title = f"{escape(name)}: " if name else ""
    st.progress(min(now["share"], 1.0), f"{title}{now['doing'] or 'Starting'}{count}{rest}")
    return now
