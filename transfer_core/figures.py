"""Plotly figures from plain data. Colours of classes are given, so that they are the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

PART_NAMES = {
    "train": "Training",
    "val": "Validation",
    "target_train": "Target, labels hidden",
    "test": "Test",
}


def class_bars(counts: Mapping[str, Mapping[str, int]], colours: Mapping[str, str]) -> go.Figure:
    """Images per domain (one bar each), stacked by class, with the numbers inside."""
    series = {name: [each.get(name, 0) for each in counts.values()] for name in colours}
    return _stacked(list(counts), series, colours, "Images per class")


def split_bars(counts: Mapping[str, Mapping[str, int]], colours: Mapping[str, str]) -> go.Figure:
    """Images per part, stacked by class."""
    parts = [part for part in PART_NAMES if part in counts]
    names = [f"{PART_NAMES[part]} ({sum(counts[part].values()):,})" for part in parts]
    series = {name: [counts[part][name] for part in parts] for name in colours}
    return _stacked(names, series, colours, "How the images are divided")


def _stacked(
    names: Sequence[str], series: Mapping[str, Sequence[int]], colours: Mapping[str, str], title: str
) -> go.Figure:
    figure = go.Figure()
    for name, values in series.items():
        bar: dict[str, Any] = {"color": colours[name], "line": {"width": 0}}
        texts = [f"{value:,}" if value else "" for value in values]
        figure.add_bar(y=names, x=list(values), name=plain(name), orientation="h", marker=bar, text=texts)
    figure.update_layout(
        barmode="stack", title=title, height=170 + 44 * len(names) + 8 * len(series), bargap=0.35,
        margin={"l": 8, "r": 8, "t": 48, "b": 36}, xaxis_title="images",
        legend={"orientation": "h", "x": 0, "yref": "container", "y": 0, "yanchor": "bottom", "traceorder": "normal"},
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed")
    figure.update_traces(textposition="inside", insidetextanchor="middle")
    return figure


def grey_curves(shares: Mapping[str, Sequence[float]], colours: Mapping[str, str]) -> go.Figure:
    """How grey values are spread, a curve for each name; the bins are equal, from black to white."""
    figure = go.Figure()
    for name, values in shares.items():
        width = 256 / len(values)
        middles = [width * (index + 0.5) for index in range(len(values))]
        figure.add_scatter(
            x=middles,
            y=list(values),
            name=plain(name),
            mode="lines",
            line={"color": colours[name], "width": 2.5},
        )
    figure.update_layout(
        title="How bright the pixels are", height=300, margin={"l": 8, "r": 8, "t": 48, "b": 36},
        xaxis_title="grey value, 0 black to 255 white", yaxis_title="share of pixels", yaxis_tickformat=".0%",
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.02, "yanchor": "bottom"}, showlegend=True,
    )  # fmt: skip
    return figure


def class_intervals(per_class: Sequence[Mapping[str, Any]], colours: Mapping[str, str]) -> go.Figure:
    """Recall of each class as a point with its 95 % interval."""
    figure = go.Figure()
    for each in per_class:
        low, high = each["recall_ci"]
        figure.add_scatter(
            x=[each["recall"]], y=[plain(each["class"])], mode="markers", showlegend=False,
            marker={"size": 13, "color": colours[each["class"]]},
            error_x={"type": "data", "symmetric": False, "array": [high - each["recall"]],
                     "arrayminus": [each["recall"] - low], "thickness": 2.5, "width": 6,
                     "color": colours[each["class"]]},
        )  # fmt: skip
    figure.update_layout(
        title="Found among all that are there (recall, 95 % interval)", height=110 + 44 * len(per_class),
        margin={"l": 8, "r": 8, "t": 48, "b": 36}, xaxis={"range": [0, 1.02], "tickformat": ".0%"},
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed")
    return figure


MOST_POINTS = 400  # of a curve


def ranking_curves(
    recall: Sequence[float], fallout: Sequence[float], precision: Sequence[float], chance: float, colour: str
) -> go.Figure:
    """ROC curve and precision-recall curve side by side, with what chance gives dotted; `chance` is the class's share."""
    from plotly.subplots import make_subplots

    figure = make_subplots(1, 2, horizontal_spacing=0.2)
    step = max(1, len(recall) // MOST_POINTS)
    keep = [*range(0, len(recall) - 1, step), len(recall) - 1]
    line = {"color": colour, "width": 3}
    curves = ((fallout, recall, "linear"), (recall, precision, "vh"))
    for column, (x, y, shape) in enumerate(curves, start=1):
        figure.add_scatter(x=[x[index] for index in keep], y=[y[index] for index in keep], mode="lines", row=1, col=column,
                           line={**line, "shape": shape}, showlegend=False)  # fmt: skip
    dotted = {"dash": "dot", "width": 1.5, "color": "#8a9ca1"}
    for column, ends in enumerate(((0, 1), (chance, chance)), start=1):
        figure.add_scatter(
            x=[0, 1],
            y=list(ends),
            mode="lines",
            line=dotted,
            showlegend=False,
            hoverinfo="skip",
            row=1,
            col=column,
        )
    figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%")
    figure.update_yaxes(range=[-0.02, 1.02], tickformat=".0%")
    figure.update_xaxes(title="of the others, taken for it", col=1)
    figure.update_yaxes(title="found (recall)", col=1)
    figure.update_xaxes(title="found (recall)", col=2)
    figure.update_yaxes(title="right when said (precision)", col=2)
    figure.update_layout(height=360, margin={"l": 8, "r": 8, "t": 24, "b": 36})
    return figure


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> go.Figure:
    """The confusion matrix as a heat map, shaded by the share of the true class."""
    shares = [[cell / max(sum(row), 1) for cell in row] for row in matrix]
    names = [plain(each) for each in classes]
    figure = go.Figure(
        go.Heatmap(z=shares, x=names, y=names, text=matrix, texttemplate="%{text}", colorscale="Teal",
                   showscale=False, hovertemplate="is %{y}, said %{x}: %{text}<extra></extra>")
    )  # fmt: skip
    figure.update_layout(
        title="What each class was taken for", height=180 + 26 * len(classes), xaxis_title="said",
        yaxis_title="is", margin={"l": 8, "r": 8, "t": 48, "b": 36},
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed")
    return figure


def plain(text: str) -> str:
    """Return a text plotly shows letter by letter: it reads a little HTML in labels."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
