"""Plotly figures of runs side by side. Numbers stand beside points, so that no colour has to be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import plotly.graph_objects as go

from transfer_core.evaluation.words import interval, percent
from transfer_core.figures import GREY, plain

MARGIN = {"l": 8, "r": 8, "t": 48, "b": 36}
LONGEST = 60  # letters of a name in a title
FOLD = 36  # letters of a line beside a row


def forest(
    names: Sequence[str],
    values: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    seeds: Sequence[Sequence[float]],
    colours: Sequence[str],
    title: str,
) -> go.Figure:
    """Accuracy of each entry as a point with its interval, a row each, and its seeds as small rings."""
    figure = go.Figure()
    for index, name in enumerate(names):
        row = folded(name)
        low, high = intervals[index]
        figure.add_scatter(
            x=[values[index]], y=[row], mode="markers", showlegend=False,
            marker={"size": 12, "color": colours[index]}, error_x=_bar(values[index], low, high, colours[index]),
            hovertemplate=f"{row}: {percent(values[index])} ({interval((low, high))} %)<extra></extra>",
        )  # fmt: skip
        if len(seeds[index]) > 1:
            figure.add_scatter(
                x=list(seeds[index]), y=[row] * len(seeds[index]), mode="markers", showlegend=False,
                marker={"size": 9, "color": colours[index], "symbol": "circle-open", "line": {"width": 1.5}},
                hovertemplate="one seed: %{x:.1%}<extra></extra>",
            )  # fmt: skip
    figure.update_layout(title=title, height=110 + 34 * len(names), margin=MARGIN, xaxis_tickformat=".0%")
    figure.update_yaxes(range=[len(names) - 0.4, -0.6], automargin=True)
    return figure


def accuracy_against_cost(
    numbers: Sequence[str],
    names: Sequence[str],
    costs: Sequence[float],
    values: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    colours: Sequence[str],
    cost: str,
    about: str,
) -> go.Figure:
    """Accuracy on unseen images with its interval (or what `about` says) against a cost, each point with its entry's number."""
    figure = go.Figure()
    for index, number in enumerate(numbers):
        low, high = intervals[index]
        figure.add_scatter(
            x=[costs[index]], y=[values[index]], mode="markers+text", text=[number], showlegend=False,
            textposition="middle right", marker={"size": 12, "color": colours[index]},
            error_y=_bar(values[index], low, high, colours[index]),
            hovertemplate=f"{number} {short(names[index])}: %{{y:.1%}}, %{{x:,.4~g}}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(
        title=f"Accuracy on unseen images against cost, {about}", height=380, margin=MARGIN,
        xaxis_title=cost, yaxis_title="accuracy", yaxis_tickformat=".0%",
    )  # fmt: skip
    wide = min(costs) > 0 and max(costs) > 20 * min(costs)
    figure.update_xaxes(type="log" if wide else "linear", automargin=True)
    if wide:
        figure.update_xaxes(dtick="D2", tickformat="~s")
    elif max(costs) == min(costs):
        figure.update_xaxes(range=[0, 2 * max(costs)])
    return figure


def class_differences(
    rows: Sequence[tuple[str, int, float, float, float]],
    colours: Mapping[str, str],
    first: str,
    second: str,
) -> go.Figure:
    """How much more of each class the first finds than the second; rows: class, images, difference, low, high."""
    figure = go.Figure()
    for name, n, value, low, high in rows:
        row = f"{plain(name)} ({n:,})"
        figure.add_scatter(
            x=[100 * value], y=[row], mode="markers", showlegend=False,
            marker={"size": 12, "color": colours[name]},
            error_x=_bar(100 * value, 100 * low, 100 * high, colours[name]),
            hovertemplate=f"{row}: %{{x:+.1f}} points ({100 * low:+.1f} to {100 * high:+.1f})<extra></extra>",
        )  # fmt: skip
    figure.add_vline(x=0, line={"color": GREY, "width": 1.5, "dash": "dot"})
    most = max((abs(each) for row in rows for each in row[2:]), default=0.0)
    figure.update_layout(
        title=f"Found of each class (recall): {plain(first)} less {plain(second)}", margin=MARGIN,
        height=130 + 36 * len(rows),
        xaxis={"title": "points of recall; to the right the first finds more", "range": [-110 * most - 1, 110 * most + 1]},
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", automargin=True)
    return figure


def freeze_depth(rows: Sequence[Mapping[str, Any]], stages: int, colours: Sequence[str]) -> go.Figure:
    """Accuracy, seconds and trained parameters against the number of frozen stages.

    A row holds cut, val, val_interval, test, test_interval, seconds, trained. `colours`: validation, test, cost.
    """
    from plotly.subplots import make_subplots

    titles = ("Accuracy (95 % interval)", "Seconds", "Parameters")
    figure = make_subplots(
        1, 3, subplot_titles=titles, column_widths=[0.5, 0.25, 0.25], horizontal_spacing=0.09
    )
    cuts = [row["cut"] for row in rows]
    kinds = (("val", "validation", -0.06, "solid", "circle"), ("test", "test", 0.06, "dash", "diamond"))
    for (key, name, shift, dash, symbol), colour in zip(kinds, colours, strict=False):
        values = [row[key] for row in rows]
        ends = [row[f"{key}_interval"] for row in rows]
        figure.add_scatter(
            x=[cut + shift for cut in cuts], y=values, name=name, mode="lines+markers", row=1, col=1,
            line={"color": colour, "dash": dash, "width": 2}, marker={"size": 9, "symbol": symbol},
            error_y={
                "type": "data", "symmetric": False, "thickness": 1.5, "width": 4, "color": colour,
                "array": [high - value for value, (_, high) in zip(values, ends, strict=True)],
                "arrayminus": [value - low for value, (low, _) in zip(values, ends, strict=True)],
            },
            hovertemplate=f"{name}: %{{y:.1%}}<extra></extra>",
        )  # fmt: skip
    for column, key in ((2, "seconds"), (3, "trained")):
        figure.add_scatter(
            x=cuts, y=[row[key] for row in rows], mode="lines+markers", showlegend=False, row=1, col=column,
            line={"color": colours[2], "width": 2}, marker={"size": 8},
            hovertemplate="%{x} frozen: %{y:,.4~g}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(tickformat=".0%", col=1)
    figure.update_yaxes(rangemode="tozero", col=2)
    figure.update_yaxes(rangemode="tozero", tickformat="~s", col=3)
    figure.update_xaxes(title="frozen stages", dtick=1 if stages <= 12 else 2, range=[-0.4, stages + 0.4])
    figure.update_layout(
        height=380, margin={"l": 8, "r": 8, "t": 72, "b": 36},
        legend={"orientation": "h", "x": 0, "y": 1.12, "yanchor": "bottom"},
    )  # fmt: skip
    return figure


def short(name: str, most: int = LONGEST) -> str:
    """Return a name that fits beside a row, as plotly shows it letter by letter."""
    return plain(name if len(name) <= most else f"{name[: most - 1]}…")


def folded(name: str) -> str:
    """Return a name on at most two lines, as plotly shows it letter by letter."""
    lines = wrap(name, FOLD)
    return "<br>".join(
        [plain(each) for each in lines[:1]] + [short(" ".join(lines[1:]), FOLD)] * (len(lines) > 1)
    )


def _bar(value: float, low: float, high: float, colour: str) -> dict[str, Any]:
    return {
        "type": "data", "symmetric": False, "array": [high - value], "arrayminus": [value - low],
        "thickness": 2.5, "width": 6, "color": colour,
    }  # fmt: skip
