"""What a run's data set itself is asked, on request: whose label looks wrong, and would more labelled images help."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.ui.charts import show_chart
from pages.ui.feature_map import fill_pretrained
from pages.ui.images import label_table
from pages.ui.patience import patiently
from pages.ui.state import get_helper, get_lab, get_manifest
from pages.ui.text import escape, percent, plural
from transfer_core.errors import UserError
from transfer_core.runs.run import Run
from transfer_core.runs.studies import get_study

PER_PAGE = 12
HARDLY = 0.005  # accuracy


def show_data_studies(run: Run, *, transfers: bool) -> None:
    """Offer both studies, each in a box that stays closed until somebody asks."""
    box = st.expander(
        "Labels that may be wrong", icon=":material/label_important:", on_change="rerun", key="doubts"
    )
    if box.open:
        with box:
            _show_doubts(run)
    if transfers:
        return  # labels of the target are what would help, and the curve is of the source
    box = st.expander(
        "Would more labelled images help?", icon=":material/trending_up:", on_change="rerun", key="more"
    )
    if box.open:
        with box:
            _show_curve(run)


def _study(run: Run, what: str, about: str, label: str) -> dict[str, Any] | None:
    """Return what a study found; where it was not made yet, offer it."""
    found = get_study(get_lab().store.folder(run.id), what)
    if found is None:
        st.markdown(about)
        if st.button(label, icon=":material/query_stats:", key=f"study-{what}"):
            try:
                fill_pretrained(run, [row.image for row in get_manifest(run.manifest).labelled])
                with st.spinner("Fitting probes", show_time=True):
                    patiently(get_helper().study, run.id, what)
                st.rerun()
            except UserError as error:
                st.error(escape(error), icon=":material/error:")
    return found


def _show_doubts(run: Run) -> None:
    about = (
        "Each image is classified by a linear probe that learnt from all others, and from none of its own group. Where that says "
        "another class as surely as it says it of that class's own images, the label is doubtful (confident learning)."
    )
    found = _study(run, "labels", about, "Look for doubtful labels")
    if found is None:
        return
    manifest = get_manifest(run.manifest)
    doubts = [each for each in found["suspects"] if each["image"] in manifest.by_image]
    if not doubts:
        st.markdown(f"None of {plural(found['n'], 'labelled image')} looks wrongly labelled.")
        return
    st.markdown(
        f"{plural(len(doubts), 'label')} of {found['n']:,} {'looks' if len(doubts) == 1 else 'look'} doubtful, the most doubtful first. A doubt is not an error: look, "
        "and change only what you see is wrong: labels of test images that are set right only where a classifier disagrees make the next "
        "figure a little too good. Saving makes a new version; this run and its data stay as they are."
    )
    pages = max(1, -(-len(doubts) // PER_PAGE))
    number = st.pagination(pages, key=f"doubts-page-{run.id}") if pages > 1 else 1
    shown = doubts[(number - 1) * PER_PAGE : number * PER_PAGE]
    rows = [manifest.by_image[each["image"]] for each in shown]
    label_table(manifest, rows, f"doubts-{run.id}-{number}", [each["instead"] for each in shown])


def _show_curve(run: Run) -> None:
    about = (
        "A linear probe on the pretrained backbone learns from more and more of your training and validation images and is "
        "measured on images left out. Where its accuracy still rises, more labels would help; unseen test images are not touched."
    )
    found = _study(run, "curve", about, "Measure the learning curve")
    if found is None:
        return
    from transfer_core.figures import learning_curve  # plotly is slow to import

    show_chart(
        learning_curve(found["sizes"], found["mean"], found["lowest"], found["highest"], found["ahead"]),
        alt="Accuracy of a probe against the number of labelled images",
    )
    ahead = found["ahead"]
    at = ahead["sizes"].index(2 * ahead["sizes"][0])
    gain = ahead["mean"][at] - ahead["mean"][0]
    many = plural(round(ahead["sizes"][at]), "image")
    sure = ahead["low"][at] > ahead["mean"][0]
    verdict = "**would hardly help**" if gain < HARDLY else "**would help**" if sure else "**may help**"
    st.markdown(
        f"Twice as many labelled images ({many}) {verdict}: about {100 * gain:+.1f} points, to {percent(ahead['mean'][at])} "
        f"(between {percent(ahead['low'][at])} and {percent(ahead['high'][at])} as the study's own repeats tell)."
    )
    units = f", {found['groups']} groups kept together" if found["groups"] else ""
    st.caption(
        f"Points: mean, lowest and highest of {found['repeats']} repeats on {plural(found['n'], 'image')}{units}. Dotted: a power law "
        "carried on, for images like these. Fine-tuning reaches other heights; how fast it rises is alike."
    )
