"""Take home: how do I use it elsewhere?"""

import io

import streamlit as st

from pages.ui.adaptation import show_made_for
from pages.ui.parts import finished_run, title
from pages.ui.state import get_helper, get_lab
from pages.ui.text import escape, measured, size
from transfer_core.errors import UserError
from transfer_core.evaluation.report import write_csv

lab = get_lab()
title("How do I use it elsewhere?")
run = finished_run()
st.markdown(f"**{escape(run.name)}**, {measured(get_lab().tested(run))}.")
show_made_for(run)
backbone = run.spec.make_backbone()
with st.container(border=True):
    st.markdown("#### Weights (safetensors)")
    st.markdown(
        "All weights in one file that holds numbers only and cannot run code. Its header names the classes, "
        f"the backbone ({escape(backbone.title)}), the input size ({backbone.size} px), the normalisation "
        f"and the geometry ({escape(run.spec.geometry)})."
    )
    path = lab.store.folder(run.id) / f"{run.id}.safetensors"
    if not path.exists() and st.button("Prepare the file", type="primary", icon=":material/inventory_2:"):
        try:
            with st.spinner("Putting the weights together", show_time=True):
                get_helper().export(run.id, path)
            st.rerun()
        except UserError as error:
            st.error(escape(error), icon=":material/error:")
    if path.exists():
        label = f"Download ({size(path.stat().st_size)})"
        st.download_button(label, path.read_bytes, path.name, type="primary", icon=":material/download:",
                           on_click="ignore")  # fmt: skip
with st.container(border=True):
    st.markdown("#### Predictions (CSV)")
    st.markdown("Every image of the data set with its part, label and the probability of each class.")
    text = io.StringIO()
    write_csv(lab.report(run), text)
    st.download_button(
        "Download the table",
        text.getvalue(),
        f"predictions-{run.id}.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
    )
with st.container(border=True):
    st.markdown("#### On the command line")
    st.code(
        f"uv run transfer-lab predict {run.id} IMAGE...\nuv run transfer-lab show {run.id} --json",
        language="bash",
    )
