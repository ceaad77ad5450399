"""Plotly figures from plain data. Colours of classes are given, so that they are the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from transfer_core.evaluation.words import interval, percent

GREY = "#7d8c91"  # readable on light and on dark
NO_LABEL = "unlabelled"
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


def split_bars(
    counts: Mapping[str, Mapping[str, int]],
    colours: Mapping[str, str],
    unlabelled: Mapping[str, int] | None = None,
) -> go.Figure:
    """Images per part, stacked by class; those without a label at the end, in grey."""
    parts = [part for part in PART_NAMES if part in counts]
    bare = unlabelled or {}
    names = [f"{PART_NAMES[part]} ({sum(counts[part].values()) + bare.get(part, 0):,})" for part in parts]
    series = {name: [counts[part][name] for part in parts] for name in colours}
    if bare:
        series |= {NO_LABEL: [bare.get(part, 0) for part in parts]}
    return _stacked(names, series, {**colours, NO_LABEL: GREY}, "How the images are divided")


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


ONE_COLOUR = "#0b6e75"


def interval_points(
    title: str,
    points: Sequence[tuple[str, float, tuple[float, float]]],
    colours: Mapping[str, str] | None = None,
    names: Mapping[str, str] | None = None,
) -> go.Figure:
    """One share for each label as a point with its 95 % interval; a point knows what it stands for (`customdata`)."""
    figure = go.Figure()
    for name, share, (low, high) in points:
        colour, stands_for = (colours or {}).get(name, ONE_COLOUR), (names or {}).get(name, name)
        figure.add_scatter(
            x=[share], y=[plain(name)], customdata=[stands_for], mode="markers", showlegend=False,
            marker={"size": 13, "color": colour},
            error_x={"type": "data", "symmetric": False, "array": [high - share],
                     "arrayminus": [share - low], "thickness": 2.5, "width": 6, "color": colour},
            hovertemplate=f"%{{y}}: {percent(share)} ({interval((low, high))} %)<extra></extra>",
        )  # fmt: skip
    figure.update_layout(
        title=title, height=110 + (44 if len(points) < 5 else 30) * len(points),
        margin={"l": 8, "r": 8, "t": 48, "b": 36}, xaxis={"range": [-0.02, 1.02], "tickformat": ".0%"},
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", type="category")
    return figure


def learning_curve(
    sizes: Sequence[int],
    mean: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    ahead: Mapping[str, Sequence[float]],
) -> go.Figure:
    """Accuracy against how many labelled images there were, measured (line) and expected with more (dotted, with its range)."""
    figure = go.Figure()
    figure.add_scatter(
        x=list(sizes), y=list(mean), mode="lines+markers", name="measured", line={"color": ONE_COLOUR, "width": 3},
        error_y={"type": "data", "symmetric": False, "array": [b - m for b, m in zip(high, mean, strict=True)],
                 "arrayminus": [m - a for a, m in zip(low, mean, strict=True)], "thickness": 1.2, "width": 4},
    )  # fmt: skip
    x = list(ahead["sizes"])
    band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    figure.add_scatter(x=x, y=list(ahead["high"]), **band)
    figure.add_scatter(x=x, y=list(ahead["low"]), fill="tonexty", fillcolor="rgba(11,110,117,0.15)", **band)
    figure.add_scatter(
        x=x,
        y=list(ahead["mean"]),
        mode="lines",
        name="expected",
        line={"color": ONE_COLOUR, "width": 2, "dash": "dot"},
    )
    figure.update_xaxes(
        type="log", title="labelled images to learn from", tickvals=[*sizes, *x[1:]], tickformat=",d"
    )
    figure.update_yaxes(tickformat=".0%", title="accuracy of the probe")
    figure.update_layout(
        height=340, margin={"l": 8, "r": 8, "t": 24, "b": 36},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 0.02, "yanchor": "bottom"},
    )  # fmt: skip
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


ALARMS, DOTTED = "#D55E00", {"dash": "dot", "width": 1.5, "color": "#8a9ca1"}


def trade_off_curves(
    thresholds: Sequence[float],
    missed: Sequence[float],
    alarms: Sequence[float],
    name: str,
    colour: str,
    at: float | None,
    tried: str = "tried",
) -> go.Figure:
    """How many of 1,000 images are missed and falsely called so, at each threshold; `at`: the one that is `tried`."""
    figure = go.Figure()
    curves = (("missed", missed, colour, "solid"), ("false alarms", alarms, ALARMS, "dash"))
    for label, values, own, dash in curves:
        figure.add_scatter(
            x=list(thresholds),
            y=list(values),
            name=label,
            mode="lines",
            line={"color": own, "width": 3, "dash": dash},
        )
    if at is not None:
        figure.add_vline(x=at, line=DOTTED, annotation_text=tried, annotation_position="top")
    figure.update_xaxes(
        title=f"{plain(name)} is said from this probability on", tickformat=".0%", range=[0, 1]
    )
    figure.update_yaxes(title="of 1,000 images", rangemode="tozero")
    return _under(figure)


def referral_curve(
    share: Sequence[float], accuracy: Sequence[float], at: float, tried: str = "tried"
) -> go.Figure:
    """How many of the rest are right when so many go to a person; `at`: how many do."""
    figure = go.Figure()
    figure.add_scatter(x=list(share), y=list(accuracy), mode="lines", line={"color": ONE_COLOUR, "width": 3, "shape": "vh"},
                       showlegend=False)  # fmt: skip
    if at > 0:
        figure.add_vline(x=at, line=DOTTED, annotation_text=tried, annotation_position="top")
    figure.update_xaxes(title="sent to a person", tickformat=".0%", range=[0, 0.8])
    figure.update_yaxes(title="of the rest, right", tickformat=".0%")
    return _under(figure)


def reliability_diagram(before: Any, after: Any) -> go.Figure:
    """Accuracy against confidence, as trained and calibrated; the larger a point, the more images."""
    figure = go.Figure()
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=DOTTED, showlegend=False, hoverinfo="skip")
    for name, found, colour, symbol in (
        ("as trained", before, ALARMS, "diamond"),
        ("calibrated", after, ONE_COLOUR, "circle"),
    ):
        sizes = [8 + 22 * (each / max(found.images)) ** 0.5 for each in found.images]
        figure.add_scatter(
            x=list(found.confidence), y=list(found.accuracy), name=name, mode="lines+markers", customdata=list(found.images),
            line={"color": colour, "width": 1.5}, marker={"size": sizes, "color": colour, "symbol": symbol, "opacity": 0.8},
            hovertemplate="sure %{x:.0%}, right %{y:.0%} of %{customdata} images<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title="how sure it is", tickformat=".0%")
    figure.update_yaxes(title="how often it is right", tickformat=".0%")
    return _under(figure, 380)


def _under(figure: go.Figure, height: int = 320) -> go.Figure:
    """Return a figure without a title of its own, its legend below the chart."""
    figure.update_layout(
        height=height, margin={"l": 8, "r": 8, "t": 24, "b": 36},
        legend={"orientation": "h", "x": 0, "yref": "container", "y": 0, "yanchor": "bottom"},
    )  # fmt: skip
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
