"""What a model says of many images: in short, image by image, and as a table to take away."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from html import escape as escape_html
from typing import Any

import numpy as np
import streamlit as st

from pages.ui.parts import class_colours, figure_card
from pages.ui.patience import patiently
from pages.ui.picking import fingerprint, pick_row
from pages.ui.state import get_decision, get_helper, get_lab, get_predictions
from pages.ui.text import escape, percent, plural
from transfer_core.errors import UserError
from transfer_core.evaluation.decision import Decision
from transfer_core.evaluation.in_use import threshold
from transfer_core.evaluation.unknown import promised_share
from transfer_core.runs.answers import Answer, Verdicts, decide, write_answers
from transfer_core.runs.prediction_job import Job
from transfer_core.runs.run import Run

FEW = 12  # images that are shown one below the other
PER_PAGE = 50
EVERY, PERSON, UNLIKE, SEVERAL = (
    "all",
    "to a person",
    "unlike training images",
    "several classes possible",
)
ORDERS = ("as they came", "least sure first", "surest first")


@st.cache_resource(max_entries=4, show_spinner=False)
def _answers(home: str, job: str, state: str, done: int) -> list[Answer]:
    return get_predictions().answers(job)


def show_verdicts(run: Run, job: Job) -> None:
    """Show what came of a job that is over."""
    answers = _answers(str(get_lab().home), job.id, job.state, job.done)
    try:
        decision = get_decision(run)
    except UserError as damaged:  # no class is said in place of one that somebody's thresholds would say
        st.error(escape(damaged), icon=":material/error:")
        return
    verdicts = decide(answers, decision, job.fitted_on)
    if verdicts.answers:
        _say_rule(decision, job)
        _show_summary(verdicts, decision, job)
        rows = {id(each): row for row, each in enumerate(answers)}
        places = [rows[id(each)] for each in verdicts.answers]  # of each image's picture
        if len(verdicts.answers) <= FEW:
            for row in range(len(verdicts.answers)):
                _show_one(run, job, verdicts, row, places[row])
        else:
            _show_many(run, job, verdicts, places)
    _show_problems(answers)
    if verdicts.answers:
        st.download_button(
            "All as CSV", lambda: _csv(answers, verdicts), f"predictions-{run.id}.csv", "text/csv",
            icon=":material/download:", on_click="ignore", type="primary",
        )  # fmt: skip


def _csv(answers: Sequence[Answer], verdicts: Verdicts) -> bytes:
    out = io.StringIO()
    write_answers(out, answers, verdicts)
    return out.getvalue().encode()


def _say_rule(decision: Decision, job: Job) -> None:
    """Say what the figures below can promise, and what was decided for the run."""
    if decision.shifted:
        st.warning(
            "This run was tested on another domain than it learnt from. What follows was set on validation images of the "
            "domain it learnt from, and promises nothing for images of another: neither the probabilities nor the sets, and "
            "more images than usual are called unlike.",
            icon=":material/warning:",
        )
    wishes = decision.wishes
    said = [f"**{escape(name)}** from {threshold(share)}" for name, share in wishes.thresholds.items()]
    if said:
        st.markdown(
            f":material/tune: The class follows the thresholds decided for this run: {', '.join(said)}."
        )
    if wishes.refer_below:
        st.markdown(
            f":material/person: What is said with less than {threshold(wishes.refer_below)} goes to a person, as decided for "
            "this run."
        )
    if job.silent:
        st.info(
            f"Images unlike the training images are not told here. {escape(job.silent)}",
            icon=":material/info:",
        )


def _show_summary(verdicts: Verdicts, decision: Decision, job: Job) -> None:
    n = len(verdicts.answers)
    with st.container(key="wrap-verdict-figures"):
        places = st.columns([3, 2, 2, 2], gap="small")
    counts = np.bincount(verdicts.said, minlength=len(verdicts.classes))
    with places[0].container(border=True, height="stretch"):
        st.markdown(f"**{plural(n, 'image')}**")
        colours = class_colours(verdicts.classes)
        order = np.argsort(-counts, kind="stable")[:8]
        words = {verdicts.classes[k]: f"{counts[k]:,} ({percent(counts[k] / n, 0)})" for k in order}
        st.html(_bars({verdicts.classes[k]: counts[k] / n for k in order}, words, colours))
    person = int(verdicts.refer.sum())
    figure_card(places[1], "To a person", f"{person:,}", f"{percent(person / n)} of {plural(n, 'image')}",
                "Unlike the training images, or said with less certainty than was decided for this run.")  # fmt: skip
    if verdicts.unknown is None:
        figure_card(places[2], "Unlike training images", "not told", "see above")
    else:
        unlike, share = int(verdicts.unknown.sum()), promised_share(job.fitted_on)
        figure_card(
            places[2], "Unlike training images", f"{unlike:,}",
            f"by mistake: at most about {percent(share, 0 if share <= 0.01 else 1)} of images of the same kind and groups as "
            f"the {job.fitted_on:,} validation images",
            "Further from the training images than nearly all validation images (distance to the fifth nearest training "
            "image, in the features of the backbone). What is said of such an image means nothing.",
        )  # fmt: skip
    several, wishes = int((verdicts.sets.sum(1) > 1).sum()), decision.wishes
    promise = (
        f"the true class is among the possible ones for {percent(wishes.coverage, 0)} of images like those"
    )
    if decision.set_threshold <= 0:
        promise = f"{decision.units} are too few to rule any class out"
    figure_card(places[3], "Several classes possible", f"{several:,}", f"{percent(several / n)} of {plural(n, 'image')}; {promise}",
                "Images whose prediction set holds several classes (conformal prediction, on the validation images).")  # fmt: skip


def _bars(shares: Mapping[str, float], words: Mapping[str, str], colours: Mapping[str, str]) -> str:
    """Return classes as horizontal bars, with words beside each; a name is the user's and is escaped here."""
    return "".join(
        f"<div style='margin:6px 0'><div style='display:flex;justify-content:space-between;gap:8px'>"
        f"<span style='overflow-wrap:anywhere'>{escape_html(name)}</span>"
        f"<span style='font-variant-numeric:tabular-nums;white-space:nowrap'>{words[name]}</span></div>"
        f"<div style='height:8px;border-radius:4px;background:var(--lab-line)'><div style='height:8px;"
        f"border-radius:4px;width:{100 * share:.1f}%;background:{colours[name]}'></div></div></div>"
        for name, share in shares.items()
    )


def _show_one(run: Run, job: Job, verdicts: Verdicts, row: int, place: int) -> None:
    """Show one image: what it is taken for, how surely, and what else it could be."""
    answer, label = verdicts.answers[row], verdicts.label(row)
    with st.container(border=True):
        left, right = st.columns([1, 3], gap="medium", vertical_alignment="center")
        path = get_predictions().picture(job.id, place)
        if path.exists():
            left.image(path.read_bytes(), width=220, alt=f"{answer.file}, said {label}")
        right.markdown(f"#### {escape(label)}  \n:gray[{escape(answer.file)}]")
        order = np.argsort(-verdicts.calibrated[row], kind="stable")[:6]
        shares = {verdicts.classes[k]: float(verdicts.calibrated[row, k]) for k in order}
        words = {name: percent(share) for name, share in shares.items()}
        right.html(_bars(shares, words, class_colours(verdicts.classes)))
        for line in _remarks(verdicts, row):
            right.markdown(line)
        if path.exists():
            _offer_heat_map(run, answer, label, path.read_bytes(), f"{job.id}-{place}")


def _remarks(verdicts: Verdicts, row: int) -> list[str]:
    lines = []
    unlike = verdicts.unknown is not None and verdicts.unknown[row]
    if unlike:
        lines.append(
            ":material/help: :orange[**Unlike the training images**]: what is said of it means nothing. Show it to a person."
        )
    elif verdicts.refer[row]:
        lines.append(":material/person: **To a person**: not sure enough.")
    names = verdicts.set_of(row)
    if len(names) > 1 and not unlike:
        listed = ", ".join(escape(name) for name in names)
        lines.append(f":material/checklist: Possible classes: {listed}.")
    return lines


def _offer_heat_map(run: Run, answer: Answer, label: str, picture: bytes, key: str) -> None:
    """The one place for a heat map over an image: shown on demand, where the helper can explain."""
    explain = getattr(get_helper(), "explain_bytes", None)
    if explain is None or not st.toggle("Show what it looked at", key=f"explain-{key}"):
        return
    try:
        with st.spinner("Looking again", show_time=True):
            found = patiently(explain, run.id, answer.file, picture, label)
    except UserError as error:
        st.error(escape(error), icon=":material/error:")
        return
    st.image(found.overlay, width=360, alt=f"What counted for {label}")
    st.caption(
        "Where the model's answer hangs on the picture, as it is kept here. It does not make the reason right."
    )


def _show_many(run: Run, job: Job, verdicts: Verdicts, places: Sequence[int]) -> None:
    rows = _choose(verdicts, job.id)
    pages = max(1, -(-len(rows) // PER_PAGE))
    ids = [str(places[row]) for row in rows]  # of images in this job
    key = f"verdicts-{job.id}-{fingerprint(ids)}"
    st.caption(f"{len(rows):,} of {plural(len(verdicts.answers), 'image')}. Tick one at its left to see it.")
    if not rows:
        return
    number = st.pagination(pages, key=key) if pages > 1 else 1
    here = slice((number - 1) * PER_PAGE, number * PER_PAGE)
    shown = rows[here]
    percents = st.column_config.NumberColumn(format="percent")
    table = [_line(verdicts, row) for row in shown]
    ticked = pick_row(
        table, ids[here], key=f"verdicts-table-{job.id}", alt="What the model says of each image",
        column_config={"Probability": percents},
    )  # fmt: skip
    row = next((each for each in shown if str(places[each]) == ticked), shown[0])
    _show_one(run, job, verdicts, row, places[row])


def _line(verdicts: Verdicts, row: int) -> dict[str, Any]:
    line = {
        "File": verdicts.answers[row].file,
        "Class": verdicts.label(row),
        "Probability": round(float(verdicts.probability[row]), 4),
        "Possible classes": ", ".join(verdicts.set_of(row)),
        "To a person": "yes" if verdicts.refer[row] else "",
    }
    if verdicts.unknown is not None:
        line["Unlike the training images"] = "yes" if verdicts.unknown[row] else ""
    return line


def _choose(verdicts: Verdicts, job: str) -> list[int]:
    """Ask which images are wanted, and in which order; return their numbers."""
    with st.container(key="wrap-verdict-filters"):
        fields = st.columns(4)
    label = fields[0].selectbox("Class", [EVERY, *verdicts.classes], key=f"v-class-{job}")
    kinds = {EVERY: np.ones(len(verdicts.said), bool), PERSON: verdicts.refer}
    if verdicts.unknown is not None:
        kinds[UNLIKE] = verdicts.unknown
    kinds[SEVERAL] = verdicts.sets.sum(1) > 1
    kind = fields[1].selectbox("Show", list(kinds), key=f"v-kind-{job}")
    text = fields[2].text_input("File name", placeholder="part of the name", key=f"v-text-{job}").lower()
    order = fields[3].selectbox("Order", ORDERS, key=f"v-order-{job}")
    wanted = kinds[kind]
    if label != EVERY:
        wanted = wanted & (verdicts.said == verdicts.classes.index(label))
    rows = [int(row) for row in np.flatnonzero(wanted) if text in verdicts.answers[row].file.lower()]
    if order != ORDERS[0]:
        sign = 1 if order == ORDERS[1] else -1
        rows.sort(key=lambda row: sign * float(verdicts.probability[row]))
    return rows


def _show_problems(answers: Sequence[Answer]) -> None:
    problems = [each for each in answers if each.problem]
    if not problems:
        return
    with st.expander(f"{plural(len(problems), 'file')} could not be read", icon=":material/broken_image:",
                     expanded=len(problems) <= 3):  # fmt: skip
        st.dataframe([{"File": each.file, "Problem": each.problem} for each in problems], hide_index=True,
                     alt="Files that could not be read")  # fmt: skip
