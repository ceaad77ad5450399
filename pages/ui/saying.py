"""Says a UserError where no page stands around what raises it: in a fragment, and in the callback of a button."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import streamlit as st

from pages.ui.text import escape
from transfer_core.errors import UserError

P = ParamSpec("P")


def saying(draw: Callable[P, object]) -> Callable[P, None]:
    """Return what a fragment draws, or, where the store cannot be read now, why; one that ticks looks again by itself."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            draw(*args, **kwargs)
        except UserError as problem:
            st.warning(escape(problem), icon=":material/hourglass:")

    return drawn


def clicked(do: Callable[P, object]) -> Callable[P, None]:
    """Return what a click does, or says why it cannot."""

    @wraps(do)
    def done(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            do(*args, **kwargs)
        except UserError as problem:
            st.toast(escape(problem), icon=":material/error:")

    return done
