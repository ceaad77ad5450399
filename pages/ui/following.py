"""Pages follow the store: what a worker or another window changes there is drawn, and as long as nothing does, nothing is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import streamlit as st

from pages.ui.saying import saying
from pages.ui.state import get_glance
from pages.ui.ticking import tend
from transfer_core.runs.run import ACTIVE, Run

Standing = Mapping[str, tuple[str, str, str]]  # of runs, by their ids


def follow(drawn: Iterable[Run], *, every: bool = False) -> None:
    """Draw the page anew once one of the runs on it stands otherwise than `drawn`; with `every`, once any run does or comes."""
    _watch(_standing(drawn), every)


@st.fragment(run_every=2.0)
@saying
def _watch(drawn: Standing, every: bool) -> None:
    tend()
    now = _standing(run for run in get_glance().store.runs() if every or run.id in drawn)
    if now != drawn:
        st.rerun()


def _standing(runs: Iterable[Run]) -> Standing:
    return {run.id: (run.state, run.name, run.note) for run in runs}


def now_or_next(runs: Iterable[Run]) -> Run | None:
    """Return the run to watch, of runs with the newest first: the one that has trained longest, else the one whose turn is next."""
    under_way = [run for run in runs if not run.is_over]
    return min(under_way, key=lambda run: (run.state not in ACTIVE, run.created), default=None)
