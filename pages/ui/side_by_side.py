"""Recipes side by side in numbers and pictures: a table, accuracy with interval, cost, and each class."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from pages.ui.charts import show_chart
from pages.ui.parts import PALETTE, class_colours
from pages.ui.text import escape, interval, percent
from transfer_core.evaluation.pair_words import MEASURES
from transfer_core.runs.comparison import Comparison, Entry
from transfer_core.runs.sweep import is_sweep
from transfer_core.strategies import get_strategy

COSTS = {
    "seconds to train": lambda entry: entry.seconds,
    "parameters trained": lambda entry: entry.trained,
    "MB of weights": lambda entry: entry.megabytes,
}


def _colour(entry: Entry, numbers: Mapping[str, int]) -> str:
    return PALETTE[(numbers[entry.recipe.id] - 1) % len(PALETTE)]


def show_table(found: Comparison, numbers: Mapping[str, int]) -> None:
    """Show every figure with its interval, and what it costs."""
    several = any(entry.seeds > 1 for entry in found.entries)
    about = "interval or range" if several else "95 % interval"
    table = []
    for index, entry in enumerate(found.entries):
        row = {"No.": numbers[entry.recipe.id], "Run": entry.name, "Runs": entry.seeds}
        for space, (label, name) in zip(("", " ", "  "), FIGURES.items(), strict=True):
            ends = found.interval(index, name) if name in MEASURES else entry.spread(name)
            row |= {label: 100 * entry.figure(name), f"{about}{space}": interval(ends)}
        spec = entry.recipe.spec
        table.append(
            {
                **row,
                "n": entry.n,
                "Validation": 100 * entry.val,
                "Seconds": round(entry.seconds),
                "Trained": entry.trained,
                "MB": entry.megabytes,
                "Strategy": get_strategy(spec.strategy).title,
                "Frozen": spec.cut,
            }
        )
    number = st.column_config.NumberColumn(format="%.1f %%")
    config = {
        **dict.fromkeys([*FIGURES, "Validation"], number),
        "Run": st.column_config.TextColumn(width="medium"),
        "n": st.column_config.TextColumn(alignment="right"),
        "Seconds": st.column_config.NumberColumn(format="%d s"),
        "Trained": st.column_config.NumberColumn(format="localized", help="Parameters that train"),
        "MB": st.column_config.NumberColumn(format="%.1f"),
    }
    if not several:
        for row in table:
            del row["Runs"]
    st.dataframe(table, hide_index=True, column_config=config, alt="The chosen runs side by side")
    if several:
        st.caption(
            "Several seeds: means with the 95 % interval over images and seeds; for macro-F1 from the lowest seed to "
            "the highest. A single run: its 95 % interval."
            if found.contest
            else "Several runs: their mean, and from the lowest to the highest. A single run: its 95 % interval."
        )


FIGURES = {"Right on unseen": "accuracy", "Balanced": "balanced_accuracy", "Macro-F1": "macro_f1"}


def show_forest(found: Comparison, numbers: Mapping[str, int]) -> None:
    """Show the figure that decides of each as a point with its interval, its seeds as rings."""
    from transfer_core.figures_compare import forest  # plotly is slow to import

    entries = found.entries
    rings = any(entry.seeds > 1 for entry in entries)
    show_chart(
        forest(
            [f"{numbers[entry.recipe.id]} {entry.name}" for entry in entries],
            [entry.figure(found.measure) for entry in entries],
            [found.interval(index, found.measure) for index in range(len(entries))],
            [[test[found.measure] for test in entry.tests] for entry in entries],
            [_colour(entry, numbers) for entry in entries],
            f"{MEASURES[found.measure].capitalize()} on unseen images"
            + (", rings: each run" if rings else ", 95 % interval"),
        ),
        alt=f"{MEASURES[found.measure].capitalize()} of each run on unseen images with its interval",
    )


def show_cost(found: Comparison, numbers: Mapping[str, int]) -> None:
    """Show accuracy against a cost that one chooses."""
    from transfer_core.figures_compare import accuracy_against_cost

    cost = st.segmented_control("Cost", list(COSTS), default=next(iter(COSTS)), required=True)
    entries = found.entries
    show_chart(
        accuracy_against_cost(
            [str(numbers[entry.recipe.id]) for entry in entries],
            [entry.name for entry in entries],
            [float(COSTS[str(cost)](entry)) for entry in entries],
            [entry.figure("accuracy") for entry in entries],
            [found.interval(index, "accuracy") for index in range(len(entries))],
            [_colour(entry, numbers) for entry in entries],
            str(cost),
            "95 % interval"
            if found.contest or all(entry.seeds == 1 for entry in entries)
            else "lowest to highest run",
        ),
        alt=f"Accuracy on unseen images against {cost}",
    )
    if cost == "seconds to train":
        st.caption(
            "As it was on this machine, without testing and without the frozen part, which is computed once for all runs."
        )


def show_classes(found: Comparison, entry: int, numbers: Mapping[str, int]) -> None:
    """Show for two chosen entries, at first the one given, how much more of each class the first finds."""
    if not found.contest:
        return
    from transfer_core.figures_compare import class_differences

    entries = list(range(len(found.entries)))

    def label(entry: int) -> str:
        return f"{numbers[found.entries[entry].recipe.id]} {found.entries[entry].name}"

    others = [each for each in entries if each != entry]
    left, right = st.columns(2)
    first = left.selectbox("First", entries, index=entry, format_func=label)
    second = right.selectbox("Second", entries, index=others[0], format_func=label)
    if first == second:
        st.caption("Choose two different ones.")
        return
    support = {each["class"]: each["support"] for each in found.entries[0].tests[0]["per_class"]}
    rows = [
        (name, support.get(name, 0), gap.value, *gap.held)
        for name, gap in zip(found.classes, found.contest.recalls(first, second), strict=True)
        if gap
    ]
    show_chart(
        class_differences(
            rows, class_colours(found.classes), *(label(each).split()[0] for each in (first, second))
        ),
        alt=f"Difference in recall of each class, {label(first)} less {label(second)}",
    )
    surely = [row for row in rows if row[3] > 0 or row[4] < 0]
    words = [f"{escape(name)} {'more' if value > 0 else 'less'} often" for name, _, value, *_ in surely]
    st.caption(
        f"{'The first finds ' + ', '.join(words) if words else 'No class is surely found more often by one of them'}. 95 % intervals, "
        f"held for all {len(rows)} classes together; in brackets the number of images."
    )


def show_depth(found: Comparison) -> None:
    """Show accuracy, time and parameters against the frozen stages, where that is what the runs differ in."""
    specs = [entry.recipe.spec for entry in found.entries]
    if not is_sweep(specs):
        return
    from transfer_core.figures_compare import freeze_depth

    entries = sorted(enumerate(found.entries), key=lambda each: each[1].recipe.spec.cut)
    rows = [
        {
            "cut": entry.recipe.spec.cut, "val": entry.val, "val_interval": entry.val_interval,
            "test": entry.figure("accuracy"), "test_interval": found.interval(index, "accuracy"),
            "seconds": entry.seconds, "trained": entry.trained,
        }
        for index, entry in entries
    ]  # fmt: skip
    best = max(rows, key=lambda row: row["val"])
    stages = len(specs[0].make_backbone().stages)
    st.markdown("#### How deep to freeze")
    show_chart(
        freeze_depth(rows, stages, (PALETTE[1], PALETTE[0], PALETTE[2])),
        alt="Accuracy, seconds and trained parameters against the number of frozen stages",
    )
    st.caption(
        f"Highest on the validation images: {best['cut']} of {stages} stages frozen, {percent(best['val'])}; whether that is a lead "
        "stands above. Choose by the validation curve; the test curve is there to check, and choosing by it would flatter."
    )
