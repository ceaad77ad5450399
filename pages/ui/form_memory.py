"""What was set in the form of a new run outlives a reload of the browser: the address names it, the server keeps it."""

from __future__ import annotations

import copy
import secrets
from typing import Any

import streamlit as st

from pages.ui.settings import PLACE

MOST = 200  # forms kept; the oldest go
CHOICES = ("backbone", "strategy", "cut", "augment", "again")


@st.cache_resource(show_spinner=False)
def _forms() -> dict[str, dict[str, Any]]:
    return {}


def recall_form() -> None:
    """Bring back what was set before a reload; nothing where this session has set something itself."""
    kept = _forms().get(st.query_params.get("form", ""))
    if kept and "strategy" not in st.session_state:
        st.session_state.update(copy.deepcopy(kept))


def remember_form() -> None:
    """Keep what is set, under the name that the address bears."""
    token = st.session_state.setdefault("form", st.query_params.get("form") or secrets.token_urlsafe(6))
    forms = _forms()
    forms.pop(token, None)  # the last one used is the last to go
    forms[token] = copy.deepcopy({
        str(name): value
        for name, value in st.session_state.items()
        if name in CHOICES or (str(name).startswith(PLACE) and isinstance(value, dict))
    })  # fmt: skip
    while len(forms) > MOST:
        del forms[next(iter(forms))]
    st.query_params["form"] = token
