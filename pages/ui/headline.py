"""The first lines of a report: how often it is right, on what, how sure that is, and what to doubt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.ui.parts import figure_card
from pages.ui.spot_check import show_spot_check
from pages.ui.state import get_lab
from pages.ui.text import between, escape, percent, plural
from transfer_core.data.manifest import Manifest
from transfer_core.data.split import Split
from transfer_core.evaluation.chance import no_better_than_guessing
from transfer_core.evaluation.footnotes import footnotes, tell_choice
from transfer_core.runs.caveats import on_both_sides
from transfer_core.runs.run import Run

FEW = 20  # images of a class, below which no figure of it means much
FEW_GROUPS = 10  # below which a figure hangs on which groups happened to be held out
Test = Mapping[str, Any]


def show_headline(run: Run, test: Test, split: Split, manifest: Manifest) -> None:
    """Show how many unseen images are right, what was held out, and what to doubt; `test`: figures of those images."""
    assert run.result
    st.markdown(
        f"### Right on {percent(test['accuracy'])} of {plural(test['n'], 'unseen image')}  \n"
        f"{between(test['accuracy_ci'])}"
    )
    kinds = {
        "image": "single images, drawn at random",
        "group": split.held_out(manifest),
        "domain": f"the domain {escape(split.test_domain)}, which training never saw",
        "given": "your own test folder",
        "transfer": f"a part of the images of {escape(split.test_domain)} that training never saw",
    }
    grouped = test["resampled"] == "groups"
    units = split.units(manifest, test["groups"]) if grouped else "single images"
    lack = split.ungrouped(manifest)
    st.markdown(
        f"Held out: {kinds[split.rule]}. {lack and lack + ' '}Model chosen by "
        f"{escape(tell_choice(run.result, run.spec.to_json()))}. Intervals treat {units} as independent."
    )
    if grouped and test["groups"] < FEW_GROUPS:
        are = "is" if test["groups"] == 1 else "are"
        st.info(
            f"Only {units} {are} held out, and groups differ: with others held out the figures may be quite "
            "different. Split again with another seed, and repeat the run.",
            icon=":material/info:",
        )
    if test["labelled_by_hand"]:
        st.markdown(
            f"Labelled by hand after training: of {len(get_lab().spot_check(run).images)} images drawn at random from the "
            f"{len(split.part('test'))} unseen ones, {test['n']} could be told. Training never read these labels."
        )
        show_spot_check(run, manifest)
    if leak := on_both_sides(split):
        st.info(leak, icon=":material/info:")
    if guessed := no_better_than_guessing(test):
        st.warning(guessed, icon=":material/warning:")
    weakest = min((each for each in test["per_class"] if each["support"]), key=lambda each: each["recall"])
    few = [
        f"{escape(each['class'])} ({each['support']})" for each in test["per_class"] if each["support"] < FEW
    ]
    if weakest["recall"] < 1:
        st.markdown(
            f"Weakest class: of {plural(weakest['support'], 'image')} of **{escape(weakest['class'])}** it found "
            f"{percent(weakest['recall'])}."
        )
    if few:
        st.warning(
            f"Too few unseen images to trust any figure of {', '.join(few)}: bring more images.",
            icon=":material/warning:",
        )


def show_notes(run: Run, split: Split) -> None:
    """Show what else has to be known to read the figures: which labels were used, and what an oracle would have chosen."""
    assert run.result
    for each in footnotes(run.result, run.spec.to_json(), other_classes=bool(split.new_classes)):
        st.caption(escape(each))


def show_cards(run: Run, test: Test, *, adapts: bool) -> None:
    """Show the four figures that stand for all."""
    assert run.result
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
        "on images of the source that training did not see"
        if adapts
        else "on images that training did not see",
    )
