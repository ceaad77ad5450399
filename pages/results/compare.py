"""Compare: which is better, and is the difference real?"""

from collections import Counter

import streamlit as st

from pages.ui.parts import PALETTE, missing, title
from pages.ui.state import chosen, get_lab, go
from pages.ui.text import duration, escape, interval, percent
from transfer_core.strategies import get_strategy
from transfer_core.training.events import EpochEnded

lab = get_lab()
finished = {run.id: run for run in lab.store.runs() if run.result}
title("Which is better?")
if len(finished) < 2:
    missing("Two finished runs are needed to compare.", "Set up a run", "train/new_run.py")
names = Counter(run.name for run in finished.values())


def label(run_id: str) -> str:
    """Return a run's name, and its id where two share the name."""
    name = finished[run_id].name
    return f"{name} ({run_id})" if names[name] > 1 else name


first = chosen("run") if chosen("run") in finished else next(iter(finished))
others = [run for run in finished if run != first and finished[run].manifest == finished[first].manifest]
picked = st.multiselect(
    "Runs",
    list(finished),
    default=[first, *others[:1]],
    format_func=lambda each: label(each),
)
if len(picked) < 2 and not others:
    missing("No other run was tested on images of this data set.", "Set up a run", "train/new_run.py")
if len(picked) < 2:
    st.info("Choose two runs or more.", icon=":material/info:")
    st.stop()
runs = [finished[each] for each in picked]
comparable = len({(run.manifest, run.spec.split) for run in runs}) == 1
if not comparable:
    st.warning(
        "These runs were tested on different images, so their figures cannot be set side by side. "
        "Run one again on the other's split.",
        icon=":material/warning:",
    )
table = []
for run in runs:
    test = (run.result or {})["test"]
    table.append(
        {
            "Run": run.name,
            "Strategy": get_strategy(run.spec.strategy).title,
            "Frozen": run.spec.cut,
            "Right on unseen": 100 * test["accuracy"],
            "interval": interval(test["accuracy_ci"]),
            "Balanced": 100 * test["balanced_accuracy"],
            "interval ": interval(test["balanced_accuracy_ci"]),
            "Macro-F1": 100 * test["macro_f1"],
            "interval  ": interval(test["macro_f1_ci"]),
            "n": test["n"],
            "Took": duration((run.result or {})["seconds"]["total"]),
        }
    )
number = st.column_config.NumberColumn(format="%.1f %%")
config = {"Right on unseen": number, "Balanced": number, "Macro-F1": number}
st.dataframe(table, hide_index=True, column_config=config, alt="The chosen runs side by side")
best = max(runs, key=lambda run: (run.result or {})["test"]["accuracy"])
st.caption("Where the intervals overlap much, more test images are needed to tell the runs apart.")

from transfer_core.figures import race  # noqa: E402 - plotly is slow to import

over = st.segmented_control("Over", ["epochs", "seconds"], default="epochs", required=True)
curves = {}
for index, run in enumerate(runs, start=1):
    ends = [
        each for _, _, each in lab.store.events(run.id, kinds=["EpochEnded"]) if isinstance(each, EpochEnded)
    ]
    curves[f"{index}. {run.name}"] = [
        (float(each.epoch) if over == "epochs" else each.seconds, each.val["accuracy"]) for each in ends
    ]
st.plotly_chart(race(curves, PALETTE, str(over)), alt="Validation accuracy of each run")
accuracy = percent((best.result or {})["test"]["accuracy"])
if comparable and st.button(
    f"Take home: {escape(best.name)} ({accuracy})", type="primary", icon=":material/inventory_2:"
):
    from pages.ui.state import choose

    choose(run=best.id)
    go("results/take_home.py")
