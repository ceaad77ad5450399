"""Start: what to do next."""

from datetime import datetime

import streamlit as st

from pages.ui.bring import show_unread
from pages.ui.following import follow, now_or_next
from pages.ui.parts import STATES, bring_cards, run_line, state_badge
from pages.ui.state import choose, get_lab, go
from pages.ui.text import ago, distinct, escape, plural, size
from transfer_core.runs.housekeeping import disk_use

lab = get_lab()
datasets, runs = [each for each in lab.library.datasets() if not each.damage], lab.store.runs()

st.title("Train an image classifier on your own pictures", anchor=False)
st.markdown(":gray[No code; nothing leaves this machine.]")

show_unread()
if not datasets:
    bring_cards()
    st.stop()

watched = now_or_next(runs)
finished = [run for run in runs if run.result and not run.of_study]
with st.container(border=True):
    st.markdown("#### Next step")
    if watched:
        others = sum(not run.is_over for run in runs) - 1
        rest = (
            f" {plural(others, 'other')} {'is' if others == 1 else 'are'} under way or waiting."
            if others
            else ""
        )
        does = {"queued": "waits, and starts by itself", "stopping": "is stopping"}.get(
            watched.state, "is training"
        )
        st.markdown(f"**{escape(watched.name)}** {does}.{rest}")
        if st.button("Watch it", key=f"watch-{watched.id}", type="primary", icon=":material/monitoring:"):
            choose(run=watched.id)
            go("train/live.py")
    elif runs and runs[0].state in ("lost", "failed"):
        rest = "" if lab.has_diverged(runs[0]) else " and can go on"
        st.markdown(f"**{escape(runs[0].name)}** was {STATES[runs[0].state][2].lower()}{rest}.")
        if st.button("Look at it", type="primary", icon=":material/arrow_forward:"):
            choose(run=runs[0].id)
            go("train/live.py")
    elif finished:
        st.markdown(f"**{escape(finished[0].name)}**: {escape(run_line(finished[0]))}")
        if st.button("See the report", type="primary", icon=":material/fact_check:"):
            choose(run=finished[0].id)
            go("results/report.py")
    else:
        st.markdown(f"**{escape(datasets[0].name)}** is here: {plural(datasets[0].images, 'image')}.")
        if st.button("Continue with this data set", type="primary", icon=":material/arrow_forward:"):
            choose(data=datasets[0].id, run=None)
            go("study/data.py")

left, right = st.columns(2, gap="medium")
with left:
    st.markdown("#### Recent runs")
    if not runs:
        st.caption("None yet.")
    for run in runs[:5]:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            state_badge(run)
            st.markdown(f"**{escape(run.name)}**  \n:gray[{escape(run_line(run))}]", width="stretch")
            if st.button("Open", key=f"open-{run.id}"):
                choose(run=run.id)
                go("results/report.py" if run.result else "train/live.py")
with right:
    st.markdown("#### Data sets")
    names = distinct({each.id: each.name for each in datasets})
    for each in datasets[:5]:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            brought = ago(datetime.fromisoformat(each.created).timestamp())
            st.markdown(
                f"**{escape(names[each.id])}**  \n:gray[{plural(each.images, 'image')}, "
                f"{plural(len(each.classes), 'class', 'classes')}, {brought}]",
                width="stretch",
            )
            if st.button("Open", key=f"open-{each.id}"):
                choose(data=each.id, split=None, run=None)
                go("study/data.py")

with st.expander("Bring another data set", icon=":material/add:"):
    bring_cards()
use = disk_use(lab.store)
with st.expander(f"Disk use: {size(use.total)}", icon=":material/hard_drive:"):
    st.markdown(
        f"Images {size(use.images)}, data sets {size(use.datasets)}, runs {size(use.runs)}, "
        f"activation cache {size(use.cache)}, downloaded weights {size(use.weights)}."
    )
    st.caption(f"All of it lies in {escape(lab.home)}.")
    if st.button("Empty the activation cache", disabled=not use.cache, icon=":material/delete_sweep:"):
        from transfer_core.models.cache import ActivationCache

        st.toast(f"{size(ActivationCache(lab.home / 'cache').clear())} freed; it refills by itself.")
follow(runs, every=True)
