"""Asking a model about new images: where to drop them, how far it is, what was asked before."""

from __future__ import annotations

import streamlit as st

from pages.ui.discarding import offer_discard
from pages.ui.state import get_helper, get_lab, get_predictions, go
from pages.ui.text import ago, distinct, duration, escape, plural, size
from pages.ui.uploader import uploader
from transfer_core.data.images import SUFFIXES
from transfer_core.data.sources import list_folders
from transfer_core.errors import UserError
from transfer_core.files import folder_bytes, get_roots
from transfer_core.runs.prediction_job import Job
from transfer_core.runs.prediction_jobs import NOBODY
from transfer_core.runs.run import Run
from transfer_core.runs.unread import find_unread, mark_whole
from transfer_core.runs.uploads import make_token, open_upload

KEY = "job"  # in the URL and in the session


def ask(run: Run) -> None:
    """Show where to drop images; what arrives is looked at in the background."""
    home = get_lab().home
    # A token of its own: what is dropped here is no data set.
    token = st.session_state.setdefault("prediction-token", make_token(home))
    done = uploader(token, ",".join(SUFFIXES), told={"for": "predict"})
    st.caption(
        "The images are only looked at, not kept: they are removed once that is done. What the model says of them stays "
        "on this machine, with a small picture each, until you delete it."
    )
    _ask_folder(run)
    if not done:
        _show_unasked(run)
        return
    del st.session_state["prediction-token"]
    token, name, files, total = done
    try:
        upload = open_upload(home, token)
        mark_whole(upload, files, total, {"for": "predict", "name": name})
        _start(get_predictions().add_upload(run.id, upload, name))
    except UserError as error:
        st.error(escape(error), icon=":material/error:")


def _show_unasked(run: Run) -> None:
    """Show the images that are here whole and that no model was asked about: the server ended in between."""
    for each in find_unread(get_lab().home, "predict"):
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(
                f":material/inbox: **{escape(each.name)}** is here, and was not looked at yet.",
                width="stretch",
            )
            if st.button("Look at it", key=f"ask-{each.upload.folder.name}", icon=":material/play_arrow:"):
                _start(get_predictions().add_upload(run.id, each.upload, each.name))
            offer_discard(each.upload)


def _ask_folder(run: Run) -> None:
    folders = list_folders(get_roots())
    if not folders:
        return
    chosen = st.selectbox("Or a folder on this machine", folders, index=None, placeholder="choose one",
                          format_func=lambda each: each.name)  # fmt: skip
    if chosen and st.button("Look at its images", icon=":material/folder_open:"):
        try:
            job = get_predictions().add_folder(run.id, chosen)
        except UserError as error:
            st.error(escape(error), icon=":material/error:")
        else:
            _start(job)


def _start(job: Job) -> None:
    get_predictions().start(job, get_helper())
    _choose(job.id)
    go("results/predict.py")


def _choose(job: str | None) -> None:
    if job is None:
        st.query_params.pop(KEY, None)
        st.session_state.pop(KEY, None)
    else:
        st.query_params[KEY] = st.session_state[KEY] = job


def pick_job(run: Run) -> Job | None:
    """Show what was asked of a run, where that was more than once; return the chosen one, else the newest."""
    asked = get_predictions()
    jobs = {each.id: each for each in (*asked.jobs(run.id), *asked.jobs(NOBODY))}
    if not jobs:
        _choose(None)
        return None
    wanted = st.query_params.get(KEY) or st.session_state.get(KEY)
    if wanted not in jobs:
        wanted = next(iter(jobs))
    if len(jobs) > 1:
        st.session_state["pick-job"] = wanted
        labels = distinct({each: _label(job) for each, job in jobs.items()})
        wanted = st.selectbox("Predictions", list(jobs), key="pick-job", format_func=lambda each: labels[each],
                              on_change=lambda: _choose(st.session_state["pick-job"]))  # fmt: skip
    _choose(wanted)
    return jobs[wanted]


def _label(job: Job) -> str:
    count = f", {plural(job.total, 'file')}" if job.total else ""
    return f"{job.name}{count}, {ago(job.created)}"


@st.fragment(run_every=1.0)
def watch(job: str) -> None:
    """Show how far a job is, until it is over."""
    jobs = get_predictions()
    try:
        found = jobs.get(job)
        jobs.look()
    except UserError:
        st.rerun()
    if found.is_over:
        st.rerun()
    share = found.done / found.total if found.total else 0.0
    if found.total:
        rest = f", about {duration(found.left)} left" if found.left else ""
        words = f"{found.done:,} of {plural(found.total, 'file')} looked at{rest}"
    elif found.state == "running":
        words = "loading the model" if get_helper().is_warm else "starting, which takes some ten seconds"
    else:
        words = "waiting for its turn"
    st.progress(share, f"**{escape(found.name)}**: {words}")
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Stop", icon=":material/stop_circle:", disabled=jobs.wants_stop(job)):
            jobs.stop(job)
            st.rerun(scope="fragment")
        st.caption("It goes on if you leave or close this page.")


def show_end(job: Job) -> None:
    """Say why a job ended before its time; nothing where it did not."""
    if job.state == "failed":
        st.error(escape(job.error), icon=":material/error:")
        if st.button("Try again", icon=":material/replay:"):
            try:
                get_predictions().retry(job, get_helper())
            except UserError as error:
                st.error(escape(error), icon=":material/error:")
            else:
                st.rerun()
    elif job.state == "stopped":
        st.info(
            f"Stopped after {job.done:,} of {plural(job.total, 'file')}."
            if job.total
            else "Stopped before the first image.",
            icon=":material/stop_circle:",
        )


def offer_deletion(job: Job) -> None:
    """Offer to remove what was kept of a job."""
    jobs = get_predictions()
    label = f"Delete these predictions and their pictures ({size(folder_bytes(jobs.place(job.id)))})"
    # The job is in the keys: where another window deleted it, the click must not delete the next one.
    sure = st.checkbox(label, key=f"sure-{job.id}")
    if st.button(
        "Delete the predictions", key=f"delete-{job.id}", icon=":material/delete:", disabled=not sure
    ):
        try:
            freed = jobs.delete(job.id)
        except UserError as error:
            st.error(escape(error), icon=":material/error:")
        else:
            _choose(None)
            st.session_state["receipt"] = (
                f"Deleted the predictions of {escape(job.name)}: {size(freed)} freed."
            )
            st.rerun()
