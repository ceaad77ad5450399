"""Live: is it going well?"""

import time
from typing import Literal

import streamlit as st

from pages.ui.adaptation import show_health
from pages.ui.live_curves import Series, live_curves, with_gaps
from pages.ui.parts import missing, state_badge, title
from pages.ui.run_progress import show_progress
from pages.ui.saying import saying
from pages.ui.state import current_run, get_glance, get_lab, go, run_again
from pages.ui.stopping import stop_button
from pages.ui.text import ago, duration, escape, percent, plural
from pages.ui.ticking import say_locked, tend
from pages.ui.waiting import show_waiting
from transfer_core.errors import UserError
from transfer_core.evaluation.words import provisional
from transfer_core.runs.store import Run
from transfer_core.training.events import EpochEnded, Noted, PhaseStarted, Provisional, Stepped
from transfer_core.training.spec import RULES

BLUE, ORANGE = "#56B4E9", "#D55E00"
lab, seen = get_lab(), get_glance()  # to act; to look, as often as it ticks
run = current_run("Is it going well?")
if run is None:
    title("Is it going well?")
    missing("Nothing is training yet.", "Set up a run", "train/new_run.py")
    st.stop()


def _figure(end: EpochEnded, part: Literal["train", "val"], figure: str) -> float | None:
    """Return what a curve shows of an epoch: of training the mistakes alone, or it could not stand beside validation."""
    if part == "train" and figure == "loss":
        return end.train.get("cross-entropy", end.train["loss"])
    # Where no labelled image was learnt from, nothing classifies yet.
    return getattr(end, part)[figure] if "accuracy" in end.train else None


def curves(found: Run) -> None:
    """Show loss and accuracy of every epoch so far."""
    ends: list[EpochEnded] = []
    phases: list[int] = []  # of each epoch, one number where a phase continues the one before
    phase = 0
    for _, _, event in seen.store.events(found.id, kinds=["EpochEnded", "PhaseStarted"]):
        if isinstance(event, PhaseStarted):
            phase = phase if event.continues else event.number
        elif isinstance(event, EpochEnded):
            ends.append(event)
            phases.append(phase)
    if found.is_over and not ends:
        return
    parts = list(zip((each.network(found.spec.networks) for each in ends), phases, strict=True))
    x = with_gaps([each.epoch for each in ends], parts)

    def curve(part: Literal["train", "val"], figure: str) -> Series:
        return x, with_gaps([_figure(each, part, figure) for each in ends], parts)

    best = max((each.epoch for each in ends if each.best), default=None)
    end = ends[-1].epochs if ends else found.spec.total_epochs
    with st.container(key="wrap-page"):
        left, right = st.columns(2)
    with left:
        live_curves(
            "Loss: lower is better",
            {"training": curve("train", "loss"), "validation": curve("val", "loss")},
            key=f"loss-{found.id}", colours=[BLUE, ORANGE], end=end, mark=best, y_title="loss",
        )  # fmt: skip
    with right:
        live_curves(
            "Accuracy: higher is better",
            {"training": curve("train", "accuracy"), "validation": curve("val", "accuracy")},
            key=f"accuracy-{found.id}", colours=[BLUE, ORANGE], end=end, most=1.0, mark=best, format=".0%",
            y_title="accuracy",
        )  # fmt: skip
    if found.spec.networks > 1:
        st.caption("Each network begins anew; the last point is that of all together.")
    elif len(set(phases)) > 1:
        st.caption("A gap parts the phases; what each of them minimises is not the same.")
    show_health(found, ends)
    if ends and best:
        chosen = next(each for each in ends if each.epoch == best)
        word = "Kept" if found.is_over else "Best so far"
        together = found.spec.networks > 1 and best == end
        what = f"{found.spec.networks} networks together" if together else f"epoch {best}"
        st.caption(
            f"{word}: {what}, with a validation accuracy of {percent(chosen.val['accuracy'])}. "
            f"Chosen by {RULES[found.spec.select]}."
        )


def numbers(found: Run) -> None:
    """Show speed and load of the machine, and the phase."""
    last_step = seen.store.last_event(found.id, "Stepped")
    last_phase = seen.store.last_event(found.id, "PhaseStarted")
    places = st.columns(4)
    if found.started:
        places[0].metric("Running for", duration(time.time() - found.started))
    if last_step and isinstance(last_step[2], Stepped):
        step = last_step[2]
        places[1].metric("Images per second", f"{step.images_per_second:,.0f}")
        if "gpu_percent" in step.load:
            places[2].metric("GPU in use", f"{step.load['gpu_percent']:.0f} %")
            places[3].metric("GPU memory", f"{step.load.get('gpu_memory_mb', 0) / 1e3:.1f} GB")
        else:
            places[2].metric("Processor in use", f"{step.load.get('cpu_percent', 0):.0f} %")
            places[3].metric("Memory", f"{step.load.get('memory_mb', 0) / 1e3:.1f} GB")
    if last_phase and isinstance(last_phase[2], PhaseStarted):
        phase = last_phase[2]
        st.caption(
            f"Device {found.device}. Phase {phase.number} of {phase.phases}: {escape(phase.name)}; "
            f"{phase.parameters:,} parameters train, {phase.cut} stages frozen."
        )


def active(found: Run) -> None:
    """Show a run that waits or works."""
    if found.state == "queued":
        ahead = [each for each in seen.store.runs(states=("queued", "running", "stopping"))
                 if each.device == found.device and each.created < found.created]  # fmt: skip
        words = f"Waiting for {plural(len(ahead), 'other run')} on {found.device}" if ahead else "Starting"
        st.progress(0.0, words)
    else:
        now = show_progress(seen.store, found)
        first_look(found)
    if found.state == "stopping":
        st.caption("Stopping after this step; the best epoch is kept.")
    elif found.state == "queued":
        stop_button(found, "Cancel", key="stop", icon=":material/close:")
    elif not now["doing"].startswith("Testing"):
        ends = [each for _, _, each in seen.store.events(found.id, kinds=["EpochEnded"])]
        kept = any(isinstance(each, EpochEnded) and each.best for each in ends)
        stop_button(found, "Stop and keep the best" if kept else "Stop", key="stop", icon=":material/stop:")


def first_look(found: Run) -> None:
    """Show the provisional answer from a sample, until there is a better one."""
    told = seen.store.last_event(found.id, "Provisional")
    if told and isinstance(told[2], Provisional) and not seen.store.last_event(found.id, "EpochEnded"):
        early = told[2]
        words = provisional(early.accuracy, (early.low, early.high), early.trained, early.tested)
        st.info(words, icon=":material/speed:")


def over(found: Run) -> None:
    """Show how a run ended and what can be done."""
    if found.error:
        box = {"failed": st.error, "lost": st.warning}.get(found.state, st.info)
        box(escape(found.error), icon=":material/info:")
    with st.container(horizontal=True):
        if found.result and st.button("See the report", type="primary", icon=":material/fact_check:"):
            go("results/report.py")
        if found.state in ("stopped", "failed", "lost") and not lab.has_diverged(found):
            kind = "secondary" if found.result else "primary"
            begun = seen.store.last_event(found.id, "EpochEnded")
            if st.button(
                "Go on from the last checkpoint" if begun else "Start it again",
                type=kind,
                icon=":material/resume:",
            ):
                lab.resume(found.id)
                st.rerun()
        if st.button("Run again with changes", icon=":material/replay:"):
            run_again(found)


def show(run_id: str, *, ticking: bool) -> None:
    """Show everything of a run; a finished one stops ticking."""
    tend()
    try:
        found = seen.store.get(run_id)
    except UserError as problem:
        if problem.kind != "no-run":
            raise
        st.rerun()  # deleted in another window; the whole page says so
    if found.is_over and ticking:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        state_badge(found)
        took = f", took {duration(found.ended - found.started)}" if found.ended and found.started else ""
        began = f"started {ago(found.started)}" if found.started else f"asked for {ago(found.created)}"
        st.caption(f"{began}{took}")
        if found.state in ("running", "stopping") and lab.watcher.standstill(found) > 4:
            st.caption(":material/hourglass: not heard of for some seconds")
    say_locked()
    (over if found.is_over else active)(found)
    curves(found)
    if not found.is_over:
        numbers(found)
    for _, _, event in seen.store.events(found.id, kinds=["Noted"]):
        if isinstance(event, Noted):
            st.caption(f":material/info: {escape(event.text)}")
    if not found.is_over:  # nothing ticks on the page of a run that is over
        show_waiting(found.id)


title(escape(run.name))
if run.is_over:
    show(run.id, ticking=False)
else:
    st.fragment(saying(show), run_every=1.0)(run.id, ticking=True)
