"""Split: what will it be tested on?"""

import streamlit as st

from pages.ui.charts import show_chart
from pages.ui.optimism import show_optimism
from pages.ui.parts import missing, title
from pages.ui.state import choose, current_data, current_split, draw_split, get_lab, go
from pages.ui.text import escape, plural
from transfer_core.data.dismissed import get_dismissed
from transfer_core.data.manifest import TARGET_TRAIN
from transfer_core.data.split import FRACTIONS, Rule, usual_rule
from transfer_core.data.split_causes import why_without
from transfer_core.data.ungrouped import names_groups
from transfer_core.errors import UserError

MOST = 4  # classes that are missing in a part and told of
FEW = 20  # test images of a class, below which its figures mean little
RULES: dict[Rule, tuple[str, str]] = {
    "image": ("By image", "Every image on its own. Right when images have nothing to do with each other."),
    "group": (
        "By group",
        "All images of one patient, part or module stay together. Tells how well it does on new ones.",
    ),
    "domain": (
        "By domain",
        "One site or device is kept for the test. Tells how well it does somewhere else.",
    ),
    "transfer": (
        "From one domain to another",
        "Learns from the labels of one site or device and only looks at the images of another. "
        "For the strategies that adapt.",
    ),
    "given": ("As given", "As your train, val and test folders say."),
}

manifest = current_data("What will it be tested on?")
if manifest is None:
    title("What will it be tested on?")
    missing("There is no data set yet.", "Bring images", "study/data.py")
    st.stop()
title(
    "What will it be tested on?",
    "Part of the images is put aside and never shown in training; only they say how good the classifier is.",
)
possible: list[Rule] = ["image"]
possible += ["group"] if manifest.groups else []
possible += ["domain", "transfer"] if len(manifest.domains) > 1 else []
possible += ["given"] if {"train", "test"} <= {row.given for row in manifest.rows} else []
known = current_split(manifest)
default: Rule = known.rule if known else usual_rule(manifest)[0]
with st.container(key="wrap-page"):
    left, right = st.columns([2, 3], gap="large")
with left:
    rule = st.radio(
        "Kept apart",
        possible,
        index=possible.index(default) if default in possible else 0,
        format_func=lambda each: RULES[each][0],
        captions=[RULES[each][1] for each in possible],
    )
    domain = source = None
    other_classes = False
    if rule == "transfer":
        names = list(manifest.domains)
        at = names.index(known.train_domain) if known and known.train_domain in names else 0
        source = st.selectbox("Learn from the labels of", names, index=at)
        names = [each for each in names if each != source]
        at = names.index(known.test_domain) if known and known.test_domain in names else 0
        domain = st.selectbox("For images of", names, index=at)
        own, others = (
            {row.label for row in manifest.labelled if row.domain == each} for each in (source, domain)
        )
        if others - own:
            other_classes = st.checkbox(
                "The two ask different questions",
                value=bool(known and known.new_classes),
                help="Their classes differ, and both are to be learnt: multi-task learning does so, with some labels of each.",
            )
    if rule == "domain":
        names = list(manifest.domains)
        at = names.index(known.test_domain) if known and known.test_domain in names else 0
        domain = st.selectbox("Test on", names, index=at)
    fractions, seed = FRACTIONS, 0
    if rule != "given":
        with st.expander("Sizes and seed", icon=":material/tune:"):
            shares = known.fractions if known else FRACTIONS
            ends = (round(100 * shares[0]), round(100 * (shares[0] + shares[1])))
            first, second = st.slider("Training, validation and test", 5, 95, ends, step=5, format="%d %%")
            first = max(5, min(first, second - 5))  # each part gets something
            second = min(95, max(second, first + 5))
            fractions = (first / 100, (second - first) / 100, 1 - second / 100)
            seed = int(st.number_input("Seed", 0, 10_000, known.seed if known else 0,
                                       help="Another number draws another, equally good, split."))  # fmt: skip
try:
    split = draw_split(
        manifest,
        rule,
        fractions=fractions,
        seed=seed,
        test_domain=domain,
        train_domain=source,
        other_classes=other_classes,
    )
except UserError as error:
    with right:
        st.error(escape(error), icon=":material/error:")
        if len(manifest.classes) < 2 and st.button("Bring other images", type="primary"):
            go("study/data.py")
    st.stop()

from pages.ui.parts import class_colours  # noqa: E402
from transfer_core.figures import split_bars  # noqa: E402 - plotly is slow to import

receipt = split.receipt
with right:
    unlabelled = split.unlabelled(manifest)
    chart = split_bars(receipt.counts, class_colours(manifest.classes), unlabelled)
    show_chart(chart, alt="Images per part and class")
    with st.container(border=True):
        st.markdown("**Receipt**")
        sides = "on both sides"
        lack = split.ungrouped(manifest)
        if manifest.groups:
            icon = ":material/check:" if not receipt.groups_shared and not lack else ":material/warning:"
            st.markdown(f"{icon} {plural(receipt.groups_shared, 'group')} {sides}")
        if lack:
            st.markdown(f":material/warning: {lack} Say on the Data page which images belong together.")
        icon = ":material/check:" if not receipt.pixels_shared else ":material/warning:"
        st.markdown(f"{icon} {plural(receipt.pixels_shared, 'identical image')} {sides}")
        icon = ":material/check:" if not receipt.near_duplicates else ":material/info:"
        if "near-duplicates" in get_dismissed(get_lab().library, manifest):
            st.markdown(":material/info: look-alikes are not held together: somebody found them different")
        else:
            st.markdown(f"{icon} {plural(receipt.near_duplicates, 'set')} of look-alikes {sides}")
        if rule in ("domain", "transfer"):
            there = [
                row for row in manifest.labelled if row.domain != domain and source in (None, row.domain)
            ]
            left_out = sum(row.image not in split.assignment for row in there)
            if left_out:
                st.markdown(
                    f":material/info: {plural(left_out, 'image')} not trained on, because what is tested shows the same"
                )
        if absent := split.tell_absent():
            st.warning(escape(absent), icon=":material/warning:")
        asked = [
            name
            for name in manifest.classes
            if name not in split.absent_classes
            and (not split.new_classes or receipt.counts[TARGET_TRAIN][name])
        ]
        fewest = min((n for name in asked if (n := receipt.counts["test"][name])), default=0)
        measured = {
            part: each for part, each in receipt.counts.items() if part != "test" or any(each.values())
        }
        if "test" not in measured:
            st.info(
                f"None of the {plural(unlabelled['test'], 'image')} kept for the test has a label. Training goes without; how well "
                f"it does on {escape(domain)} can be measured once some have one: the report offers to label a few.",
                icon=":material/help:",
            )
        if not split.new_classes:
            for sentence in why_without(asked, manifest, measured, rule, split.alike)[:MOST]:
                st.warning(escape(sentence), icon=":material/warning:")
        if 0 < fewest < FEW:  # of a class without any, the sentence above speaks
            st.markdown(
                f":material/warning: only {plural(fewest, 'test image')} of the rarest class: the result will be "
                "very uncertain"
            )
        if not manifest.groups:
            st.caption(
                "This data set names no groups. If several images show one patient or part, some may stand on "
                "both sides, and the result is then too good: say on the Data page which images belong together."
            )
        if rule == "image" and receipt.groups_shared:
            st.caption(
                "Images of one group are on both sides, so the result may be too good. "
                "Split by group to see how well it does on new groups."
            )
        if names_groups(manifest.labelled):
            show_optimism(manifest)
if left.button("Continue to training", type="primary", icon=":material/arrow_forward:"):
    choose(split=get_lab().library.decide(split).id)
    go("train/new_run.py")
