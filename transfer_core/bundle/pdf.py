"""The report as PDF: the same blocks on paper."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from transfer_core.bundle.document import Block, Bullets, Heading, Picture, Table, Text
from transfer_core.bundle.drawing import ACCENT, GRID, INK, QUIET, Box, Dot, Drawing, Label, Line, Shape
from transfer_core.files import atomic_path

NOTE = "Some names hold letters that this paper's font does not have; they stand as ? here and whole in report.html."


def write_pdf(blocks: Sequence[Block], title: str, path: Path) -> None:
    """Write blocks as an A4 document with page numbers."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.units import mm
    from reportlab.platypus import SimpleDocTemplate

    styles = _styles()
    width = A4[0] - 36 * mm
    story = [part for each in blocks for part in _flow(each, styles, width)]
    if any("?" in _latin(each) and "?" not in each for each in _texts(blocks)):
        story += _flow(Text(NOTE), styles, width)

    def number(canvas: Any, document: Any) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.setFillColor(QUIET)
        canvas.drawRightString(A4[0] - 18 * mm, 10 * mm, f"{_latin(title)[:80]}, page {document.page}")

    with atomic_path(path) as part:
        document = SimpleDocTemplate(
            str(part), pagesize=A4, title=_latin(title), author="Transfer Lab", invariant=1,
            leftMargin=18 * mm, rightMargin=18 * mm, topMargin=16 * mm, bottomMargin=18 * mm,
        )  # fmt: skip
        document.build(story, onFirstPage=number, onLaterPages=number)


def _styles() -> dict[str, Any]:
    from reportlab.lib.styles import ParagraphStyle

    body = ParagraphStyle(
        "body", fontName="Helvetica", fontSize=9.5, leading=13.5, textColor=INK, spaceAfter=5
    )
    bold = "Helvetica-Bold"
    return {
        "body": body,
        "warning": ParagraphStyle("warning", body, borderColor="#8a4b00", borderWidth=0.8, borderPadding=5, spaceBefore=6, spaceAfter=10),
        "h1": ParagraphStyle("h1", body, fontName=bold, fontSize=18, leading=22, spaceAfter=8),
        "h2": ParagraphStyle("h2", body, fontName=bold, fontSize=12.5, leading=16, spaceBefore=12, textColor=ACCENT, keepWithNext=1),
        "h3": ParagraphStyle("h3", body, fontName=bold, spaceBefore=8, keepWithNext=1),
        "cell": ParagraphStyle("cell", body, fontSize=8, leading=10, spaceAfter=0),
        "number": ParagraphStyle("number", body, fontSize=8, leading=10, spaceAfter=0, alignment=2),
        "caption": ParagraphStyle("caption", body, fontSize=8.5, textColor=QUIET, spaceBefore=6, keepWithNext=1),
    }  # fmt: skip


def _flow(block: Block, styles: dict[str, Any], width: float) -> list[Any]:
    """Return what the page takes for a block."""
    from reportlab.platypus import ListFlowable, Paragraph

    if isinstance(block, Heading):
        return [Paragraph(_safe(block.text), styles[f"h{block.level}"])]
    if isinstance(block, Text):
        return [Paragraph(_safe(block.text), styles["warning" if block.warning else "body"])]
    if isinstance(block, Bullets):
        items = [Paragraph(_safe(each), styles["body"]) for each in block.items]
        return [ListFlowable(items, bulletType="bullet", start="•", leftIndent=12, bulletFontSize=8)]
    if isinstance(block, Picture):
        return [Paragraph(_safe(block.title), styles["caption"]), _figure(block.drawing, width)]
    return [_table(block, styles, width)]


def _table(block: Table, styles: dict[str, Any], width: float) -> Any:
    from reportlab.platypus import Paragraph
    from reportlab.platypus import Table as PaperTable

    first = width * min(0.4, max(0.16, 1.2 / len(block.head)))
    others = [(width - first) / max(len(block.head) - 1, 1)] * (len(block.head) - 1)
    rows = [
        [Paragraph(_safe(cell), styles["number" if number else "cell"]) for number, cell in enumerate(row)]
        for row in (block.head, *block.rows)
    ]
    style = [("LINEBELOW", (0, 0), (-1, -1), 0.4, GRID), ("VALIGN", (0, 0), (-1, -1), "TOP")]
    return PaperTable(rows, [first, *others], style=style, repeatRows=1, spaceBefore=4, spaceAfter=8)


def _figure(drawing: Drawing, width: float) -> Any:
    from reportlab.graphics.shapes import Drawing as PaperDrawing
    from reportlab.graphics.shapes import Group

    scale = min(width / drawing.width, 0.8)
    group = Group(*(_shape(each, drawing.height) for each in drawing.shapes))
    group.scale(scale, scale)
    return PaperDrawing(drawing.width * scale, drawing.height * scale, group)


def _shape(shape: Shape, height: float) -> Any:
    """Return a shape of ours as one of the paper's, where y goes up."""
    from reportlab.graphics.shapes import Circle, PolyLine, Rect, String
    from reportlab.lib.colors import HexColor

    colour = HexColor(shape.colour)
    if isinstance(shape, Line):
        points = [each for x, y in shape.points for each in (x, height - y)]
        dash = [4, 4] if shape.dash else None
        return PolyLine(points, strokeColor=colour, strokeWidth=shape.width, strokeDashArray=dash)
    if isinstance(shape, Box):
        return Rect(
            shape.x,
            height - shape.y - shape.height,
            shape.width,
            shape.height,
            fillColor=colour,
            strokeColor=None,
        )
    if isinstance(shape, Dot):
        return Circle(shape.x, height - shape.y, shape.radius, fillColor=colour, strokeColor=None)
    text = _latin(shape.text)
    return String(
        shape.x,
        height - shape.y,
        text,
        textAnchor=shape.anchor,
        fontName="Helvetica",
        fontSize=shape.size,
        fillColor=colour,
    )


def _texts(blocks: Sequence[Block]) -> list[str]:
    found: list[str] = []
    for block in blocks:
        if isinstance(block, (Heading, Text)):
            found.append(block.text)
        elif isinstance(block, Bullets):
            found += block.items
        elif isinstance(block, Table):
            found += [cell for row in (block.head, *block.rows) for cell in row]
        else:
            found += [each.text for each in block.drawing.shapes if isinstance(each, Label)]
    return found


def _latin(text: str) -> str:
    """Return a text in the letters of the paper's own fonts."""
    known = text.replace("→", ">").replace("≤", "at most").replace("−", "-")
    return known.encode("cp1252", "replace").decode("cp1252")


def _safe(text: str) -> str:
    return escape(_latin(text), quote=False)
