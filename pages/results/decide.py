"""Decide: what shall it say, and when ask a person?"""

from __future__ import annotations

import streamlit as st

from pages.ui.certainty import show_calibration, show_sets
from pages.ui.charts import show_chart
from pages.ui.in_use import in_use_words
from pages.ui.parts import class_colours, finished_run, missing, title
from pages.ui.state import get_calibration, get_decision, get_lab, get_report, get_split, get_validation
from pages.ui.text import escape, plural
from pages.ui.trade_off import ask_wishes, forget_drafts
from transfer_core.errors import UserError
from transfer_core.evaluation.decision import Decision, Wishes, fit_decision, load_wishes
from transfer_core.evaluation.operating import Consequences, consequences, referral, trade_off
from transfer_core.evaluation.shares import Share

FEW = 20  # validation images of a class, below which a threshold hangs on chance
title("What shall it say, and when ask a person?")
run = finished_run()
lab = get_lab()
report, cases = get_report(run)
split = get_split(run)
shifted = split.rule in ("domain", "transfer")
folder = lab.store.folder(run.id)
damaged = False
try:
    kept = load_wishes(folder)
except UserError as problem:
    damaged = True
    st.warning(escape(problem), icon=":material/warning:")
    kept = Wishes()
validation = get_validation(run)
probabilities, truth = validation.probabilities, validation.truth
if not len(truth) or report.about.get("asked"):
    missing("This run has no validation images to decide by.", "Set up a run", "train/new_run.py")
groups = [row.group or row.image for row in validation.rows] if report.grouped else None
before = get_calibration(run) if damaged else get_decision(run)
calibrated = before.calibrated(probabilities)
classes = list(report.manifest.classes)


def thousand(share: Share, what: str) -> str:
    """Return how many of 1,000 images that is, in words, with the interval."""
    count, low, high = share.per(1000)
    return f"**{count:.0f} {what}** (95 % interval {low:.0f} to {high:.0f})"


def tell(found: Consequences, watched: str) -> str:
    """Return in one sentence what becomes of 1,000 images."""
    return (
        f"Of 1,000 images, {1000 * found.of_class / found.missed.n:.0f} of them {escape(watched)}: "
        f"{thousand(found.missed, 'missed')}, {thousand(found.alarms, 'false alarms')}, "
        + (
            f"{thousand(found.referred, 'sent to a person')}."
            if found.referred.count
            else "none sent to a person."
        )
    )


if shifted:
    st.warning(
        f"Everything here is fitted on validation images that are not from {escape(split.test_domain)}. On other images neither the "
        "probabilities nor the sets keep what they promise: use it as a guide, and check it on labelled images from there.",
        icon=":material/warning:",
    )
rarest = min(range(len(classes)), key=lambda number: (truth == number).sum() or len(truth) + 1)
with st.container(key="wrap-page"):
    left, right = st.columns([1, 1], gap="large")
with left:
    # What is in use is opened again; of several classes the one that was decided last.
    st.session_state.setdefault(f"watched-{run.id}", [classes[rarest], *kept.thresholds][-1])
    watched = st.selectbox("Which class must not be missed?", classes, key=f"watched-{run.id}")
    number = classes.index(watched)
    wishes = ask_wishes(run.id, before, watched, calibrated[:, number], truth == number)
    decision = fit_decision(validation, wishes, shifted=shifted, grouped=report.grouped)
    with st.container(horizontal=True):
        use = st.button(
            "Use this when predicting",
            type="primary",
            icon=":material/check:",
            disabled=wishes == kept and not damaged,
        )
        plain = kept != Wishes() and st.button("Back to the likeliest class", icon=":material/undo:")
    if use or plain:
        (Wishes() if plain else wishes).save(folder)
        if plain:
            forget_drafts()
        st.session_state["receipt"] = (
            "Undone: the likeliest class is said again, and nothing goes to a person for its probability."
            if plain
            else "Kept: predictions of this run now follow it, those made before too."
        )
        st.rerun()
    if wishes != kept:
        st.caption("Not used yet.")


def show_unseen(decided: Decision) -> None:
    """Tell what comes of the decision that is in use, on the images that nobody chose by."""
    if not len(cases.truth):
        st.caption("What comes of it on unseen images cannot be told: they have no labels.")
        return
    own = [row.group or row.image for row in cases.rows] if report.grouped else None
    found = consequences(decided, decided.calibrated(cases.probabilities), cases.truth, number, own)
    st.markdown(
        f"{tell(found, watched)}  \n:gray[Measured on {plural(len(cases.truth), 'unseen image')}. Choosing anew after reading this makes it flatter.]"
    )


with right:
    st.markdown("#### What is in use, on unseen images")
    st.markdown(in_use_words(kept))
    show_unseen(before)
    st.markdown(
        "#### What you are trying, on validation images"
        if wishes != kept
        else "#### The same on validation images"
    )
    found = consequences(decision, decision.calibrated(probabilities), truth, number, groups)
    st.markdown(
        f"{tell(found, watched)}  \n:gray[{plural(len(truth), 'validation image')}; you choose by these, so they flatter a little.]"
    )
    if found.of_class < FEW:
        st.info(
            f"Only {plural(found.of_class, 'validation image')} of {escape(watched)}: another handful would give another threshold.",
            icon=":material/info:",
        )

from transfer_core.figures import referral_curve, trade_off_curves  # noqa: E402 - plotly is slow to import

with st.container(key="wrap-page-curves"):
    left, right = st.columns(2, gap="large")
threshold = wishes.thresholds.get(watched)
with left:
    st.markdown("#### Missed or falsely called?")
    curves = trade_off_curves(
        *trade_off(calibrated[:, number], truth == number),
        watched,
        class_colours(classes)[watched],
        threshold,
        tried="in use" if threshold == kept.thresholds.get(watched) else "tried",
    )
    show_chart(curves, alt="Misses and false alarms against the threshold")
    st.caption(
        f"Of 1,000 validation images, before any goes to a person; {escape(watched)} against all others."
    )
with right:
    st.markdown("#### How many to a person?")
    said = decision.said(calibrated)
    share, accuracy = referral(calibrated[range(len(said)), said], said == truth)
    curve = referral_curve(
        share, accuracy, found.referred.count / len(truth), tried="in use" if wishes == kept else "tried"
    )
    show_chart(curve, alt="Accuracy of the rest against the share sent to a person")
    st.caption("The least sure go first. On validation images.")
show_calibration(run.id, before, probabilities, truth, cases)
show_sets(before, calibrated, cases, grouped=report.grouped)
