"""Report: can I trust it, where does it fail?"""

import io

import streamlit as st

from pages.ui.adaptation import show_verdict
from pages.ui.cells import MOST, confusion_buttons
from pages.ui.parts import class_colours, figure_card, gallery, missing, state_badge, title
from pages.ui.ranking import show_ranking
from pages.ui.spot_check import show_spot_check
from pages.ui.state import current_run, get_lab, go
from pages.ui.text import ago, escape, interval, percent, plural
from pages.ui.why import all_said, show_gallery
from transfer_core.evaluation.report import write_csv
from transfer_core.strategies import get_strategy

FEW = 20  # images of a class, below which no figure of it means much
FEW_GROUPS = 10  # below which a figure hangs on which groups happened to be held out
lab = get_lab()
run = current_run(finished=True)
if run is None:
    title("Can I trust it, where does it fail?")
    missing("No run has a report yet.", "Set up a run", "train/new_run.py")
    st.stop()
if not run.result:
    title(escape(run.name))
    state_badge(run)
    if not run.is_over:
        missing("The report is there as soon as training has come to its end.", "Watch it", "train/live.py")
    missing("This run has no report: it did not come to an end with a model.", "Open it", "train/live.py")
    st.stop()


def spread(ends: tuple[float, float]) -> str:
    """Return an interval; where resampling found no spread there is none to show."""
    return interval(ends) if ends[0] < ends[1] else "-"


def between(ends: tuple[float, float]) -> str:
    """Return a resampled interval in words; of images that are all right or all wrong there is none."""
    return f"95 % interval {interval(ends)} %" if ends[0] < ends[1] else "too few images for an interval"


def few_words(count: int) -> str:
    """Return a small number of images in words that follow "there"."""
    if count > 1:
        return f"are only {count} unseen images"
    return "is only one unseen image" if count else "is no unseen image"


report = lab.report(run)
manifest, classes = report.manifest, report.classes
test = lab.tested(run)
colours = class_colours(classes)
split = lab.library.get_split(run.manifest, run.spec.split)

title(escape(run.name))
if run.state != "done":
    with st.container(horizontal=True, vertical_alignment="center"):
        state_badge(run)
        st.caption(f"after {run.result['epoch']} of {run.result['epochs']} epochs; the best of them is kept")
if not test["n"]:
    unseen = len(split.part("test"))
    st.markdown(
        f"### Cannot be measured: the {plural(unseen, 'unseen image')} of {escape(split.test_domain)} have no labels"
    )
    show_verdict(run)
    show_spot_check(run, manifest)
    st.stop()
st.markdown(
    f"### Right on {percent(test['accuracy'])} of {plural(test['n'], 'unseen image')}  \n"
    f"{between(test['accuracy_ci'])}"
)
kinds = {
    "image": "single images, drawn at random",
    "group": "whole groups that training never saw",
    "domain": f"the domain {escape(split.test_domain)}, which training never saw",
    "given": "your own test folder",
    "transfer": f"a part of the images of {escape(split.test_domain)} that training never saw",
}
units = f"{test['groups']} groups" if test["resampled"] == "groups" else "single images"
st.markdown(
    f"Held out: {kinds[split.rule]}. Model chosen by {escape(run.result['selection_rule'])} "
    f"(epoch {run.result['best_epoch']} of {run.result['epoch']}). Intervals treat {units} as independent."
)
if test["resampled"] == "groups" and test["groups"] < FEW_GROUPS:
    st.info(
        f"Only {plural(test['groups'], 'group')} are held out, and groups differ: with others held out the figures may be quite "
        "different, by more than the intervals say. Split again with another seed, and repeat the run.",
        icon=":material/info:",
    )
if not run.result["test"]["n"]:
    st.markdown(
        f"Labelled by hand after training: {plural(test['n'], 'image')} drawn at random from the "
        f"{len(split.part('test'))} unseen ones. Training never read these labels."
    )
    show_spot_check(run, manifest)
if split.rule == "image" and split.receipt.groups_shared:
    st.info(
        f"Images of {plural(split.receipt.groups_shared, 'group')} were on both sides, so this figure may be too "
        "good for new groups. A split by group tells.",
        icon=":material/info:",
    )
weakest = min((each for each in test["per_class"] if each["support"]), key=lambda each: each["recall"])
rarest = min(test["per_class"], key=lambda each: each["support"])
if weakest["recall"] < 1:
    st.markdown(
        f"Weakest class: of {plural(weakest['support'], 'image')} of **{escape(weakest['class'])}** it found "
        f"{percent(weakest['recall'])}."
    )
if rarest["support"] < FEW:
    st.warning(
        f"Of {escape(rarest['class'])} there {few_words(rarest['support'])}: too few to trust any figure below. Bring more images.",
        icon=":material/warning:",
    )
others = [each for each in lab.store.runs(manifest=run.manifest) if each.result and each.id != run.id]
with st.container(horizontal=True):
    compare = others and st.button("Compare", type="primary", icon=":material/compare_arrows:")
    if compare:
        go("results/compare.py")
    kind = "secondary" if others else "primary"
    if st.button("Predict new images", type=kind, icon=":material/image_search:"):
        go("results/predict.py")


show_verdict(run)
used = run.result.get("target_labels_used")
if split.new_classes:
    st.caption(
        f"Source and target have different classes: {plural(used or 0, 'labelled image')} of the target taught and, a quarter of "
        "them, chose the epoch."
    )
elif oracle := run.result.get("oracle"):
    st.caption(
        f"Chosen without labels of the target: epoch {run.result['best_epoch']}, balanced accuracy {percent(oracle['chosen'])} on "
        f"{plural(oracle['images'], 'image')} of its training part. An oracle that knew their labels would have taken "
        f"epoch {oracle['epoch']} ({percent(oracle['balanced_accuracy'])}). "
        f"On all labelled images of the target: {percent(run.result['test_transductive']['balanced_accuracy'])} (transductive)."
    )
if shots := run.spec.knobs.get("shots"):
    st.caption(f"Learnt from at most {plural(int(shots), 'image')} per class of the training part.")
if used and not split.new_classes:
    st.caption(f"{plural(used, 'label')} of the target's training part were used.")
adapts = split.rule == "transfer" and not split.new_classes
majority = max(each["support"] for each in test["per_class"]) / max(test["n"], 1)
with st.container(key="wrap-figures"):
    places = st.columns(4)
figure_card(
    places[0],
    "Balanced accuracy",
    percent(test["balanced_accuracy"]),
    between(test["balanced_accuracy_ci"]),
    "The mean of how many of each class were found.",
)
figure_card(
    places[1],
    "Macro-F1",
    percent(test["macro_f1"]),
    between(test["macro_f1_ci"]),
    "Precision and recall in one figure, averaged over the classes.",
)
figure_card(places[2], "No classifier at all", percent(majority), "always saying the commonest class")
figure_card(
    places[3],
    "Validation accuracy",
    percent(run.result["val"]["accuracy"]),
    "on images of the source that training did not see" if adapts else "on images that training did not see",
)

from transfer_core.figures import class_intervals, confusion  # noqa: E402 - plotly is slow to import

with st.container(key="wrap-page"):
    left, right = st.columns(2, gap="large")
with left:
    st.markdown("#### Each class")
    st.plotly_chart(
        class_intervals(test["per_class"], colours),
        config={"displayModeBar": False},
        alt="Recall of each class",
    )
with right:
    st.markdown("#### What was taken for what")
    st.caption("Open a cell to see its images.")
    if len(classes) <= MOST:
        cell = confusion_buttons(test["confusion"], classes, run.id)
    else:
        st.plotly_chart(confusion(test["confusion"], classes), alt="Confusion matrix")
        a, b = st.columns(2)
        is_class = a.selectbox("is", classes)
        said_class = b.selectbox("said", classes, index=1)
        cell = (classes.index(is_class), classes.index(said_class))

rows = [(row, p) for row, _, p in report.rows("test") if row.label is not None]
names = {name: index for index, name in enumerate(manifest.classes)}
if cell:
    is_name, said_name = (classes[number] for number in cell)
    said = names[said_name]
    inside = [(row, p) for row, p in rows if row.label == is_name and int(p.argmax()) == said]
    inside.sort(key=lambda each: -each[1][said])
    st.markdown(f"#### Is {escape(is_name)}, said {escape(said_name)}: {plural(len(inside), 'image')}")
    PER_PAGE = 18
    pages = max(1, -(-len(inside) // PER_PAGE))
    number_shown = st.pagination(pages, key=f"cell-page-{run.id}-{is_name}-{said_name}") if pages > 1 else 1
    part = inside[(number_shown - 1) * PER_PAGE : number_shown * PER_PAGE]
    gallery(
        [row for row, _ in part],
        [f"{percent(float(p[said]), 0)} sure · {escape(row.path)}" for row, p in part],
        key="cell",
    )

table = [
    {
        "Class": each["class"],
        "Found (recall)": 100 * each["recall"],
        "interval": spread(each["recall_ci"]),
        "Right when said (precision)": 100 * each["precision"],
        "interval ": spread(each["precision_ci"]),
        "F1": 100 * each["f1"],
        "interval  ": spread(each["f1_ci"]),
        **({"Others spared (specificity)": 100 * each["specificity"]} if "specificity" in each else {}),
        "n": each["support"],
    }
    for each in test["per_class"]
]
number = st.column_config.NumberColumn(format="%.1f %%")
figures = ("Found (recall)", "Right when said (precision)", "F1", "Others spared (specificity)")
columns = dict.fromkeys(figures, number)
st.dataframe(table, hide_index=True, column_config=columns, alt="Recall, precision and F1 of each class")

if run.result["test"]["n"]:
    show_ranking(run.id, report, {each["class"]: each["support"] for each in test["per_class"]}, colours)

wrong = sorted(
    ((row, p) for row, p in rows if int(p.argmax()) != names[row.label or ""]), key=lambda e: -e[1].max()
)
st.markdown("#### Worst mistakes")
if wrong:
    st.caption("Wrong and most sure of it, first. Some may be wrong labels.")
    heat = st.toggle("Show what it looked at", key="worst-heat")
    said = all_said(report, {row.image for row, _ in wrong[:12]})
    show_gallery(run, [said[row.image] for row, _ in wrong[:12]], key="worst", heat=heat, most=12)
else:
    st.caption("None on the unseen images.")

with st.expander("How this came about", icon=":material/info:"):
    backbone, spec = run.spec.make_backbone(), run.spec
    seconds = run.result["seconds"]
    st.markdown(
        f"- Data set {escape(manifest.name)} ({run.manifest}), split {split.id} by {split.rule}, seed {split.seed}\n"
        f"- {get_strategy(spec.strategy).title} of {escape(backbone.title)}, {spec.cut} of {len(backbone.stages)} stages frozen, "
        f"images of {backbone.size} pixels, geometry {spec.geometry}, augmentation {spec.augment}{', averaged over its views' if spec.test_views else ''}, seed {spec.seed}\n"
        f"- {seconds['total']:.0f} s in all, {seconds['cache']:.0f} s for the frozen part, {seconds['train']:.0f} s training; {ago(run.created)}\n"
        f"- "
        + ", ".join(f"{escape(key)} {escape(value)}" for key, value in run.result["environment"].items())
    )
text = io.StringIO()
write_csv(report, text)
st.download_button(
    "Predictions of every image (CSV)",
    text.getvalue(),
    f"predictions-{run.id}.csv",
    "text/csv",
    icon=":material/download:",
    on_click="ignore",
)
