"""Small figures as shapes, for paper and browser alike, without a script and without a plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

# The colours of classes on every page (Okabe and Ito 2008), told apart by every kind of colour vision.
PALETTE = ("#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#888888")
INK, QUIET, GRID, ACCENT = "#17262b", "#566a70", "#d5dee0", "#0b6e75"


@dataclass(frozen=True)
class Line:
    """A line through points (x, y), in pixels from the top left."""

    points: Sequence[tuple[float, float]]
    colour: str = INK
    width: float = 1.0
    dash: bool = False


@dataclass(frozen=True)
class Box:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    colour: str


@dataclass(frozen=True)
class Dot:
    """A filled circle."""

    x: float
    y: float
    radius: float
    colour: str


@dataclass(frozen=True)
class Label:
    """A text whose baseline is at y; `anchor` is start, middle or end."""

    x: float
    y: float
    text: str
    anchor: str = "start"
    colour: str = INK
    size: float = 12.0


Shape = Line | Box | Dot | Label


@dataclass
class Drawing:
    """Shapes on a white ground; `about` says in words what is to be seen."""

    width: float
    height: float
    about: str
    shapes: list[Shape] = field(default_factory=list)


def to_svg(drawing: Drawing) -> str:
    """Return a drawing as an SVG element."""
    size = f'viewBox="0 0 {drawing.width:g} {drawing.height:g}" width="{drawing.width:g}"'
    about = escape(drawing.about)
    inside = "".join(_svg(each) for each in drawing.shapes)
    return f'<svg {size} role="img" aria-label="{about}"><title>{about}</title>{inside}</svg>'


def _svg(shape: Shape) -> str:
    if isinstance(shape, Line):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
        dash = ' stroke-dasharray="4 4"' if shape.dash else ""
        return f'<polyline points="{points}" fill="none" stroke="{shape.colour}" stroke-width="{shape.width:g}"{dash}/>'
    if isinstance(shape, Box):
        place = f'x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" height="{shape.height:.1f}"'
        return f'<rect {place} fill="{shape.colour}"/>'
    if isinstance(shape, Dot):
        return f'<circle cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="{shape.radius:g}" fill="{shape.colour}"/>'
    words = f'font-size="{shape.size:g}" text-anchor="{shape.anchor}" fill="{shape.colour}"'
    return f'<text x="{shape.x:.1f}" y="{shape.y:.1f}" {words}>{escape(shape.text)}</text>'
