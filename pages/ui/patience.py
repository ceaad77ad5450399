"""A wait that can be left: what takes long goes on beside the page, and a click elsewhere does not wait for it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import ParamSpec, TypeVar

import streamlit as st

P = ParamSpec("P")
T = TypeVar("T")


@st.cache_resource(show_spinner=False)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="waited-for")


def patiently(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what `work` returns, or raise what it raises; `work` calls nothing of Streamlit's.

    Where the page is left before, `work` goes on, and nobody hears of its result.
    """
    future = _pool().submit(work, *args, **kwargs)
    place = st.empty()
    while not wait([future], timeout=0.1).done:
        place.empty()  # a script can be left only where it puts an element
    return future.result()
