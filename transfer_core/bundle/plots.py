"""The figures of a report: each class, what was taken for what, reliability, learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transfer_core.bundle.drawing import ACCENT, GRID, INK, PALETTE, QUIET, Box, Dot, Drawing, Label, Line
from transfer_core.bundle.subject import Epoch
from transfer_core.evaluation.calibrate import Reliability

LETTERS = 22  # of a name
WIDE = 640.0


def short(name: str, letters: int = LETTERS) -> str:
    """Return a name that fits beside a figure."""
    return name if len(name) <= letters else name[: letters - 1] + "…"


def draw_intervals(per_class: Sequence[Mapping[str, Any]]) -> Drawing:
    """How many of each class were found (recall), with the 95 % interval and n."""
    left, right, row = 180.0, WIDE - 70, 30.0
    bottom = 16 + row * len(per_class)
    drawing = Drawing(WIDE, bottom + 40, "Recall of each class with its 95 % interval")
    for tenth in range(0, 11, 2):
        x = left + (right - left) * tenth / 10
        drawing.shapes += [
            Line([(x, 8), (x, bottom)], GRID),
            Label(x, bottom + 16, f"{10 * tenth} %", "middle", QUIET, 11),
        ]
    drawing.shapes.append(
        Label((left + right) / 2, bottom + 34, "found among all that are there (recall)", "middle", QUIET, 11)
    )
    for index, each in enumerate(per_class):
        y, colour = 12 + row * (index + 0.5), PALETTE[index % len(PALETTE)]
        drawing.shapes.append(Label(left - 12, y + 4, short(str(each["class"])), "end"))
        drawing.shapes.append(Label(right + 10, y + 4, f"n = {each['support']}", "start", QUIET, 11))
        if each["support"]:
            low, high = (left + (right - left) * end for end in each["recall_ci"])
            drawing.shapes.append(Line([(low, y), (high, y)], colour, 3))
            drawing.shapes.append(Dot(left + (right - left) * each["recall"], y, 6, colour))
    return drawing


def draw_confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> Drawing:
    """What each class was taken for: rows are what images are, columns what was said; darker is a larger share of the row."""
    left, top = 170.0, 40.0
    cell = min(86.0, (WIDE - left) / max(len(classes), 1))
    high = min(cell, 40.0)
    size = left + cell * len(classes)
    drawing = Drawing(max(WIDE, size), top + high * len(classes) + 12, "What each class was taken for")
    drawing.shapes.append(Label(left - 12, 14, "rows: is, columns: said", "end", QUIET, 11))
    letters = max(3, int(cell / 7))
    for index, name in enumerate(classes):
        drawing.shapes.append(Label(left + cell * (index + 0.5), 28, short(name, letters), "middle", INK, 11))
        drawing.shapes.append(Label(left - 12, top + high * (index + 0.5) + 4, short(name), "end"))
        total = max(sum(matrix[index]), 1)
        for column, number in enumerate(matrix[index]):
            share = number / total
            x, y = left + cell * column, top + high * index
            drawing.shapes.append(Box(x + 1, y + 1, cell - 2, high - 2, _shade(share)))
            ink = "#ffffff" if share > 0.55 else INK
            drawing.shapes.append(Label(x + cell / 2, y + high / 2 + 4, f"{number:,}", "middle", ink))
    return drawing


def _shade(share: float) -> str:
    """Return a colour from nearly white to the accent."""
    light, dark = (238, 244, 245), (11, 110, 117)
    parts = (round(a + (b - a) * share) for a, b in zip(light, dark, strict=True))
    return "#" + "".join(f"{each:02x}" for each in parts)


def draw_reliability(before: Reliability, after: Reliability) -> Drawing:
    """How often what is said with a confidence is right, before and after temperature scaling."""
    side, left, top = 240.0, 60.0, 10.0
    drawing = Drawing(
        WIDE, side + 56, "Confidence against accuracy on the test images, before and after scaling"
    )
    _frame(
        drawing,
        left,
        top,
        side,
        side,
        "confidence",
        [f"{20 * i} %" for i in range(6)],
        [f"{20 * i} %" for i in range(6)],
    )
    drawing.shapes.append(Line([(left, top + side), (left + side, top)], QUIET, 1, dash=True))
    words = left + side + 24
    for place, (name, found, colour) in enumerate(
        (("plain", before, PALETTE[0]), ("calibrated", after, ACCENT))
    ):
        points = [
            (left + side * c, top + side * (1 - a))
            for c, a in zip(found.confidence, found.accuracy, strict=True)
        ]
        drawing.shapes.append(Line(points, colour, 2))
        drawing.shapes += [Dot(x, y, 3.5, colour) for x, y in points]
        text = f"{name}: mean gap {100 * found.error:.1f} points"
        drawing.shapes += [
            Dot(words, top + 16 + 24 * place, 5, colour),
            Label(words + 14, top + 20 + 24 * place, text),
        ]
    drawing.shapes.append(
        Label(words, top + 72, "dotted: a probability that means what it says", "start", QUIET, 11)
    )
    return drawing


def draw_curves(epochs: Sequence[Epoch]) -> Drawing:
    """Accuracy of training and validation images after each epoch."""
    side, high, left, top = WIDE - 200, 200.0, 60.0, 10.0
    first, last = epochs[0].number, max(epochs[-1].number, epochs[0].number + 1)
    drawing = Drawing(WIDE, high + 56, "Training and validation accuracy after each epoch")
    step = -(-(last - first) // 5)
    last = first + step * -(-(last - first) // step)  # so that every tick is a whole epoch
    ticks = [str(each) for each in range(first, last + 1, step)]
    _frame(drawing, left, top, side, high, "epoch", ticks, [f"{20 * i} %" for i in range(6)])
    for place, (name, colour) in enumerate((("training", PALETTE[0]), ("validation", ACCENT))):
        parts = [each.train if name == "training" else each.val for each in epochs]
        points = [
            (left + side * (each.number - first) / (last - first), top + high * (1 - part["accuracy"]))
            for each, part in zip(epochs, parts, strict=True)
            if part.get("accuracy") is not None
        ]
        drawing.shapes.append(Line(points, colour, 2.5))
        drawing.shapes += [Dot(x, y, 2.5, colour) for x, y in points if len(points) <= 60]
        y = top + 16 + 24 * place
        drawing.shapes += [Dot(left + side + 24, y, 5, colour), Label(left + side + 38, y + 4, name)]
    return drawing


def _frame(
    drawing: Drawing,
    left: float,
    top: float,
    width: float,
    height: float,
    title: str,
    x: Sequence[str],
    y: Sequence[str],
) -> None:
    """Draw a grid with evenly spaced labels on either axis; the vertical one is accuracy."""
    for index, text in enumerate(x):
        across = left + width * index / (len(x) - 1)
        drawing.shapes.append(Line([(across, top), (across, top + height)], GRID))
        drawing.shapes.append(Label(across, top + height + 16, text, "middle", QUIET, 11))
    for index, text in enumerate(y):
        down = top + height * (1 - index / (len(y) - 1))
        drawing.shapes.append(Line([(left, down), (left + width, down)], GRID))
        drawing.shapes.append(Label(left - 8, down + 4, text, "end", QUIET, 11))
    drawing.shapes.append(
        Label(left + width / 2, top + height + 34, f"{title} (up: accuracy)", "middle", QUIET, 11)
    )
