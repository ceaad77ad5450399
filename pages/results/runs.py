"""Runs: what have I trained?"""

import streamlit as st

from pages.ui.following import follow
from pages.ui.parts import STATES, missing, run_line, state_badge, title
from pages.ui.picking import pick_row
from pages.ui.state import choose, get_lab, go, run_again
from pages.ui.text import ago, duration, escape, noted, percent, plural
from transfer_core.errors import UserError
from transfer_core.runs.housekeeping import delete_run
from transfer_core.runs.recipes import name_apart
from transfer_core.strategies import get_strategy

lab = get_lab()
lab.look()
title("What have I trained?")
runs = lab.store.runs()
follow(runs, every=True)
if not runs:
    missing("Nothing yet.", "Set up a run", "train/new_run.py")
names = {each.id: each.name for each in lab.library.datasets()}

filters = st.columns([3, 2, 2])
text = filters[0].text_input("Filter", placeholder="name, note or id", key="runs-filter").lower()
data = filters[1].selectbox("Data", ["all", *names], format_func=lambda each: names.get(each, "all"))
state = filters[2].selectbox(
    "State", ["all", *STATES], format_func=lambda each: STATES[each][2] if each in STATES else "all"
)
shown = [
    run
    for run in runs
    if text in f"{run.name} {run.note} {run.id}".lower()
    and data in ("all", run.manifest)
    and state in ("all", run.state)
]
apart = name_apart(shown)
table = [
    {
        "Run": apart[run.id],
        "State": STATES[run.state][2],
        "Data": names.get(run.manifest, "deleted"),
        "Strategy": get_strategy(run.spec.strategy).title,
        "Right on unseen": noted(lab.tested(run)) if run.result else "",
        "Took": duration(run.ended - run.started) if run.ended and run.started else "",
        "Asked for": ago(run.created),
        "Note": run.note,
    }
    for run in shown
]
config = {"Right on unseen": st.column_config.TextColumn(alignment="right")}
picked = pick_row(
    table, [run.id for run in shown], key="runs-table", alt="The runs, newest first", column_config=config
)
st.caption(f"{plural(len(shown), 'run')}. Tick one at its left to open, rename, repeat or delete it.")
if picked is None:
    st.stop()

run = next(each for each in shown if each.id == picked)
with st.container(border=True):
    with st.container(horizontal=True, vertical_alignment="center"):
        state_badge(run)
        st.markdown(f"**{escape(run.name)}**  \n:gray[{escape(run_line(run))} · run {run.id}]")
    if run.result:
        test = lab.tested(run)
        st.caption(
            f"Balanced accuracy {percent(test['balanced_accuracy'])}, macro-F1 {percent(test['macro_f1'])}, "
            f"n = {test['n']}."
        )
    if run.error:
        st.caption(escape(run.error))
    with st.container(horizontal=True):
        label, page = ("See the report", "results/report.py") if run.result else ("Open", "train/live.py")
        if st.button(label, type="primary", icon=":material/open_in_new:"):
            choose(run=run.id)
            go(page)
        ended_early = run.state in ("stopped", "failed", "lost") and not lab.has_diverged(run)
        if ended_early and st.button("Go on", icon=":material/resume:"):
            lab.resume(run.id)
            choose(run=run.id)
            go("train/live.py")
        if st.button("Run again with changes", icon=":material/replay:"):
            run_again(run)
    with st.form(f"words-{run.id}", border=False):
        name = st.text_input("Name", run.name)
        note = st.text_area("Note", run.note, placeholder="What was this for?")
        if st.form_submit_button("Save name and note"):
            lab.store.rename(run.id, name=name.strip() or run.name, note=note)
            st.toast("Saved", icon=":material/check:")
            st.rerun()
    sure = st.checkbox(
        "Delete this run: its weights, predictions and curves"
        if run.is_over
        else "Stop it before you delete it",
        key=f"sure-{run.id}",
        disabled=not run.is_over,
    )
    if st.button("Delete the run", icon=":material/delete:", disabled=not sure):
        try:
            receipt = delete_run(lab.store, run.id)
        except UserError as error:
            st.error(escape(error), icon=":material/error:")
        else:
            choose(run=None)
            st.session_state["receipt"] = f"Deleted {escape(receipt.what)}: {receipt}."
            st.rerun()
