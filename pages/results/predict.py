"""Predict: what does it say about these?"""

import streamlit as st

from pages.ui.adaptation import show_made_for
from pages.ui.asking import ask, offer_deletion, pick_job, show_end, watch
from pages.ui.in_use import how_right
from pages.ui.parts import finished_run, title
from pages.ui.text import escape
from pages.ui.verdicts import show_verdicts

title("What does it say about these?")
run = finished_run()
st.markdown(f"The model of {how_right(run)}")
show_made_for(run)
ask(run)
job = pick_job(run)
if job is None:
    st.stop()
if not job.is_over:
    watch(job.id)
    st.stop()
st.markdown(f"#### {escape(job.name)}")
show_end(job)
show_verdicts(run, job)
offer_deletion(job)
