"""Report: can I trust it, where does it fail?"""

import io
from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.ui.adaptation import show_alarms, show_verdict
from pages.ui.by_part import show_parts
from pages.ui.cells import MOST, confusion_buttons
from pages.ui.charts import show_chart
from pages.ui.data_studies import show_data_studies
from pages.ui.following import follow
from pages.ui.headline import show_cards, show_headline, show_notes
from pages.ui.in_use import get_wishes, with_decision
from pages.ui.opened import open_images, opening_chart, show_opened
from pages.ui.parts import class_colours, missing, state_badge, title
from pages.ui.ranking import show_ranking
from pages.ui.settings import in_words
from pages.ui.spot_check import show_spot_check
from pages.ui.state import chosen_runs, current_run, get_calibration, get_lab, get_report, get_split, go
from pages.ui.text import ago, escape, interval, percent, plural
from transfer_core.evaluation.report import write_csv
from transfer_core.evaluation.words import coefficient, undefined
from transfer_core.knobs import get_knobs
from transfer_core.runs.caveats import cut_short
from transfer_core.strategies import get_strategy

lab = get_lab()
run = current_run("Can I trust it, where does it fail?", finished=True)
if run is None:
    title("Can I trust it, where does it fail?")
    missing("No run has a report yet.", "Set up a run", "train/new_run.py")
    st.stop()
if not run.result:
    title(escape(run.name))
    state_badge(run)
    follow([run])
    if not run.is_over:
        missing("The report is there as soon as training has come to its end.", "Watch it", "train/live.py")
    missing("This run has no report: it did not come to an end with a model.", "Open it", "train/live.py")
    st.stop()


FIGURES = {  # as the table's columns call them
    "recall": "Found (recall)", "precision": "Right when said (precision)", "f1": "F1",
    "specificity": "Others spared (specificity)",
}  # fmt: skip


def cells(each: Mapping[str, Any]) -> dict[str, str]:
    """Return a class's figures with their intervals; none of what a run of an older version did not measure."""
    known = [name for name in FIGURES if name in each]
    return {
        column: text
        for place, name in enumerate(known)
        for column, text in (
            (FIGURES[name], percent(each[name])),
            ("interval" + " " * place, interval(each[f"{name}_ci"])),
        )
    }


report, cases = get_report(run)
manifest, classes = report.manifest, report.classes
test = lab.tested(run)
colours = class_colours(classes)
split = get_split(run)

title(escape(run.name))
if run.state != "done":
    with st.container(horizontal=True, vertical_alignment="center"):
        state_badge(run)
        st.caption(cut_short(run))
if not test["n"]:
    unseen = len(split.part("test"))
    st.markdown(
        f"### Cannot be measured: the {plural(unseen, 'unseen image')} of {escape(split.test_domain)} have no labels"
    )
    show_verdict(run)
    if (twin := lab.twin(run)) and not twin.is_over:
        follow([twin])
    show_spot_check(run, manifest)
    st.stop()
show_headline(run, test, split, manifest)
if decided := with_decision(run):
    decided = f"These figures are of the likeliest class. {decided}"
    if get_wishes(run):
        st.caption(decided)
    else:  # it is damaged
        st.warning(decided, icon=":material/warning:")
others = [each for each in chosen_runs(run.manifest) if each.result and each.id != run.id]
with st.container(horizontal=True):
    compare = others and st.button("Compare", type="primary", icon=":material/compare_arrows:")
    if compare:
        go("results/compare.py")
    kind = "secondary" if others else "primary"
    if st.button("Predict new images", type=kind, icon=":material/image_search:"):
        go("results/predict.py")


show_verdict(run)
if (twin := lab.twin(run)) and not twin.is_over:
    follow([twin])
show_alarms(run)
show_notes(run, split)
adapts = split.rule == "transfer" and not split.new_classes
show_cards(run, test, adapts=adapts)

from transfer_core.figures import confusion, interval_points  # noqa: E402 - plotly is slow to import

with st.container(key="wrap-page"):
    left, right = st.columns(2, gap="large")
with left:
    st.markdown("#### Each class")
    st.caption("Open a point to see its images.")
    points = [
        (each["class"], each["recall"], each["recall_ci"]) for each in test["per_class"] if each["support"]
    ]
    found = interval_points("Found among all that are there (recall, 95 % interval)", points, colours)
    opening_chart(found, run.id, "label", "Recall of each class")
with right:
    st.markdown("#### What was taken for what")
    st.caption("Open a cell to see its images.")
    if len(classes) <= MOST:
        confusion_buttons(test["confusion"], classes, run.id)
    else:
        show_chart(confusion(test["confusion"], classes), alt="Confusion matrix")
        a, b, c = st.columns([2, 2, 1], vertical_alignment="bottom")
        is_class, said_class = a.selectbox("is", classes), b.selectbox("said", classes, index=1)
        c.button("Open", on_click=open_images, args=(run.id,), kwargs={"label": is_class, "said": said_class})
show_parts(run.id, report, cases)
show_opened(run, cases)

st.markdown("#### Every figure")
table = [{"Class": each["class"], **cells(each), "n": each["support"]} for each in test["per_class"]]
right = st.column_config.TextColumn(alignment="right")
columns = dict.fromkeys([name for name in table[0] if name not in ("Class", "n")], right)
st.dataframe(table, hide_index=True, column_config=columns, alt="Recall, precision and F1 of each class")
for why in undefined(test):
    st.caption(escape(why))
if test.get("kappa_ci"):
    st.caption(f"Agreement beyond chance (Cohen's kappa): {coefficient(test['kappa'], test['kappa_ci'])}.")
show_ranking(run, report, cases, {each["class"]: each["support"] for each in test["per_class"]}, colours)

show_data_studies(run, transfers=adapts)
with st.expander("How this came about", icon=":material/info:"):
    backbone, spec = run.spec.make_backbone(), run.spec
    seconds, strategy = run.result["seconds"], get_strategy(spec.strategy)
    own = {name: value for name, value in spec.knobs.items() if value != getattr(strategy, name, None)}
    settings = f"; {escape(', '.join(in_words(get_knobs(strategy), own)))}" if own else ""
    st.markdown(
        f"- Data set {escape(manifest.name)} ({run.manifest}), split {run.spec.split} by {split.rule}, seed {split.seed}\n"
        f"- {strategy.title} of {escape(backbone.title)}, {spec.cut} of {len(backbone.stages)} stages frozen, "
        f"images of {spec.size or backbone.size} pixels, geometry {spec.geometry}, augmentation {spec.augment}{', averaged over its views' if spec.test_views else ''}, seed {spec.seed}{settings}\n"
        f"- {seconds['total']:.0f} s in all, {seconds['cache']:.0f} s for the frozen part, {seconds['train']:.0f} s training; {ago(run.created)}\n"
        f"- "
        + ", ".join(f"{escape(key)} {escape(value)}" for key, value in run.result["environment"].items())
    )


def predictions() -> str:
    """Return the table of all predictions, made when somebody asks for it."""
    text = io.StringIO()
    write_csv(report, get_calibration(run), text)
    return text.getvalue()


st.download_button(
    "Predictions of every image (CSV)",
    predictions,
    f"predictions-{run.id}.csv",
    "text/csv",
    icon=":material/download:",
    on_click="ignore",
)
