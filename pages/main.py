"""The pages' frame: title, navigation, the chosen data set and run."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])] if str(Path(__file__).parents[1]) not in sys.path else []

from pages.ui.libraries import load_libraries  # noqa: E402

load_libraries()  # before anything of a page

import streamlit as st  # noqa: E402

from pages.ui.revive import revive  # noqa: E402
from pages.ui.sidebar import show_sidebar  # noqa: E402
from pages.ui.state import get_lab  # noqa: E402
from pages.ui.text import escape  # noqa: E402
from pages.ui.theme import show_theme  # noqa: E402
from transfer_core.errors import UserError  # noqa: E402
from transfer_core.files import get_home, is_writable  # noqa: E402
from transfer_core.runs.records import notices  # noqa: E402

HERE = Path(__file__).parent
st.set_page_config(
    page_title="Transfer Lab", page_icon=str(HERE / "static" / "icon.png"), layout="wide", menu_items={}
)
show_theme()
PAGES = {
    "": [st.Page("study/home.py", title="Start", icon=":material/home:", default=True)],
    "Study": [
        st.Page("study/data.py", title="Data", icon=":material/photo_library:"),
        st.Page("study/split.py", title="Split", icon=":material/call_split:"),
    ],
    "Train": [
        st.Page("train/new_run.py", title="New run", icon=":material/tune:", url_path="new-run"),
        st.Page("train/live.py", title="Live", icon=":material/monitoring:"),
    ],
    "Results": [
        st.Page("results/runs.py", title="Runs", icon=":material/list:"),
        st.Page("results/report.py", title="Report", icon=":material/fact_check:"),
        st.Page("results/explain.py", title="Explain", icon=":material/visibility:"),
        st.Page("results/decide.py", title="Decide", icon=":material/rule:"),
        st.Page("results/compare.py", title="Compare", icon=":material/compare_arrows:"),
        st.Page("results/predict.py", title="Predict", icon=":material/image_search:"),
        st.Page(
            "results/take_home.py", title="Take home", icon=":material/inventory_2:", url_path="take-home"
        ),
    ],
}
page = st.navigation(PAGES, position="hidden")
revive()
if not is_writable(home := get_home()):
    st.warning(
        f"{escape(home)} can only be read: what is there can be looked at, and nothing be added, changed or trained. "
        "Give this user the right to write there, or set TRANSFER_LAB_HOME to another folder.",
        icon=":material/lock:",
    )
try:
    show_sidebar(PAGES, page.title)
    for notice in notices(get_lab().home):
        st.warning(escape(notice), icon=":material/healing:")
    if receipt := st.session_state.pop("receipt", None):
        st.success(receipt, icon=":material/receipt_long:")
    page.run()
except UserError as problem:
    st.error(escape(problem), icon=":material/error:")
