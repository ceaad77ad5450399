"""The controls of a decision: from which probability a class is said, what goes to a person, how large sets are."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from pages.ui.text import escape, percent
from transfer_core.evaluation.decision import Decision, Floats, Wishes
from transfer_core.evaluation.operating import Flags, threshold_for_costs, threshold_for_share

LIKELIEST, FIND, COSTS, BY_HAND = "Likeliest", "Find a share", "Weigh costs", "By hand"
DRAFT = "decide-"  # of the keys of all controls
COVERAGES = (0.8, 0.9, 0.95, 0.99)


def forget_drafts() -> None:
    """Let all controls begin with what is kept."""
    for key in [each for each in st.session_state if str(each).startswith(DRAFT)]:
        del st.session_state[key]


def ask_wishes(run: str, decision: Decision, watched: str, scores: Floats, positive: Flags) -> Wishes:
    """Ask what is wished for a class of a run, with validation images' calibrated probabilities of it [n]; return all wishes."""
    kept = decision.wishes
    threshold = _ask_threshold(
        f"{DRAFT}{run}-{decision.classes.index(watched)}", kept, watched, scores, positive
    )
    thresholds = {name: value for name, value in kept.thresholds.items() if name != watched}
    if threshold is not None:
        thresholds[watched] = threshold
    refer = st.slider(
        "Sent to a person when less sure than", 0.0, 0.99, step=0.01, format="percent",
        key=_begin(f"{DRAFT}{run}-refer", float(kept.refer_below)), help="The calibrated probability of what is said. 0 %: never.",
    )  # fmt: skip
    coverage = st.select_slider(
        "Prediction sets hold the true class", COVERAGES, format_func=_times,
        key=_begin(f"{DRAFT}{run}-coverage", _nearest(kept.coverage)),
        help="Beside the one class, a set of classes is given that holds the true one this often. Unsure images get larger sets.",
    )  # fmt: skip
    return replace(kept, thresholds=thresholds, refer_below=refer, coverage=coverage)


def _begin(key: str, value: object) -> str:
    """Return the key of a control that begins with a value: set so, the browser shows what is kept, not what it showed last."""
    st.session_state.setdefault(key, value)
    return key


def _times(coverage: float) -> str:
    return f"{round(100 * coverage)} of 100 times"


def _nearest(coverage: float) -> float:
    return min(COVERAGES, key=lambda each: abs(each - coverage))


def _ask_threshold(key: str, kept: Wishes, watched: str, scores: Floats, positive: Flags) -> float | None:
    """Return from which probability the class is said; None for no threshold of its own."""
    known = kept.thresholds.get(watched)
    way = st.segmented_control(
        f"{escape(watched)} is said", [LIKELIEST, FIND, COSTS, BY_HAND], required=True,
        key=_begin(f"{key}-way", LIKELIEST if known is None else BY_HAND),
    )  # fmt: skip
    if way == FIND:
        share = st.slider("Find at least", 0.5, 1.0, 0.95, 0.01, format="percent", key=f"{key}-share")
        threshold = threshold_for_share(scores, positive, share)
    elif way == COSTS:
        miss, alarm = st.columns(2)
        threshold = threshold_for_costs(
            miss.number_input("A miss costs", 0.01, 1e6, 10.0, key=f"{key}-miss"),
            alarm.number_input("A false alarm costs", 0.01, 1e6, 1.0, key=f"{key}-alarm",
                               help="In any unit: only how many times dearer a miss is counts."),
        )  # fmt: skip
    elif way == BY_HAND:
        start = float(min(max(0.5 if known is None else known, 0.01), 0.99))
        threshold = st.slider("From a probability of", 0.01, 0.99, step=0.01, format="percent",
                              key=_begin(f"{key}-hand", start))  # fmt: skip
        if known is not None and threshold == start:  # what is kept may lie beyond the slider's ends
            threshold = known
    else:
        return None
    st.caption(f"Said from a probability of {percent(threshold)}.")
    return float(min(max(threshold, 1e-6), 1.0))
