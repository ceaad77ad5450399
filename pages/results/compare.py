"""Compare: which is better, and is the difference real?"""

from collections import Counter

import streamlit as st

from pages.ui.live_curves import live_curves
from pages.ui.parts import PALETTE, missing, title
from pages.ui.state import chosen, get_lab, go
from pages.ui.text import duration, escape, interval, percent
from transfer_core.runs.lab import standing
from transfer_core.strategies import get_strategy
from transfer_core.training.events import EpochEnded

lab = get_lab()
known = {run.id: run for run in lab.store.runs() if run.result or not run.is_over}
title("Which is better?")
if len(known) < 2:
    missing("Two finished runs are needed to compare.", "Set up a run", "train/new_run.py")
names = Counter(run.name for run in known.values())


def label(run_id: str) -> str:
    """Return a run's name, and its id where two share the name."""
    name = known[run_id].name
    return f"{name} ({run_id})" if names[name] > 1 else name


first = chosen("run") if chosen("run") in known else next(iter(known))
others = [run for run in known if run != first and known[run].manifest == known[first].manifest]
others.sort(
    key=lambda run: known[run].spec.split != known[first].spec.split
)  # those tested on the same first
wanted = st.session_state.pop("race", None) or st.query_params.get("race", "")
raced = [run for run in wanted.split(",") if run in known]
picked = st.multiselect("Runs", list(known), default=raced or [first, *others[:1]], format_func=label)
if len(picked) < 2 and not others:
    missing("No other run was tested on images of this data set.", "Set up a run", "train/new_run.py")
if len(picked) < 2:
    st.info("Choose two runs or more.", icon=":material/info:")
    st.stop()
st.query_params["race"] = ",".join(picked)
chosen_runs = [known[each] for each in picked]
comparable = len({(run.manifest, run.spec.split) for run in chosen_runs}) == 1
if not comparable:
    st.warning(
        "These runs were tested on different images, so their figures cannot be set side by side. "
        "Run one again on the other's split.",
        icon=":material/warning:",
    )


def race(ids: list[str], *, ticking: bool) -> None:
    """Show the validation curves of runs, and how far those are that still train."""
    lab.look()
    found = [lab.store.get(each) for each in ids]
    if ticking and all(run.is_over for run in found):
        st.rerun()
    for run in found:
        if not run.is_over:
            now = standing(lab.store, run)
            doing = "waiting" if run.state == "queued" else now["doing"] or "starting"
            st.progress(
                min(now["epoch"] / max(now["epochs"], 1), 1.0), f"{escape(run.name)}: {escape(doing)}"
            )
    over = st.segmented_control("Over", ["epochs", "seconds"], default="epochs", required=True)
    curves, most = {}, 1.0
    for number, run in enumerate(found, start=1):
        events = [each for _, _, each in lab.store.events(run.id, kinds=["EpochEnded"])]
        ends = [each for each in events if isinstance(each, EpochEnded)]
        x = [float(each.epoch) if over == "epochs" else each.seconds for each in ends]
        curves[f"{number}. {run.name}"] = (x, [each.val["accuracy"] for each in ends])
        most = max([most, *x])
    live_curves(
        "Accuracy on validation images" + (" of the source" if across else ""), curves, key=f"race-{over}-{'-'.join(ids)}", colours=PALETTE,
        end=round(most), most=1.0, format=".0%", x_title=str(over), y_title="accuracy", dashed=False, height=380,
    )  # fmt: skip


across = any(lab.library.get_split(run.manifest, run.spec.split).rule == "transfer" for run in chosen_runs)
ticks = any(not run.is_over for run in chosen_runs)
(st.fragment(race, run_every=1.5) if ticks else race)(picked, ticking=ticks)
tests = {run.id: lab.tested(run) for run in chosen_runs if run.result}
runs = [run for run in chosen_runs if run.id in tests and tests[run.id]["n"]]
if not runs:
    st.caption("The table is here as soon as the first run has been measured on labelled images.")
    st.stop()
table = []
for run in runs:
    test = tests[run.id]
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
best = max(runs, key=lambda run: tests[run.id]["accuracy"])
st.caption("Where the intervals overlap much, more test images are needed to tell the runs apart.")

accuracy = percent(tests[best.id]["accuracy"])
if comparable and st.button(
    f"Take home: {escape(best.name)} ({accuracy})", type="primary", icon=":material/inventory_2:"
):
    from pages.ui.state import choose

    choose(run=best.id)
    go("results/take_home.py")
