"""A report as plain blocks, written once and shown as HTML, Markdown or PDF. Texts are plain; whoever shows them escapes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from transfer_core.bundle.drawing import Drawing, to_svg


@dataclass(frozen=True)
class Heading:
    """A title; `level` 1 for the document's own."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph; a `warning` stands out."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Rows of cells below a head; the first column is words, the others are numbers unless told otherwise."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: bool = False  # the other columns are words, too


@dataclass(frozen=True)
class Picture:
    """A figure with what is to be seen in it."""

    drawing: Drawing
    title: str


Block = Heading | Text | Bullets | Table | Picture

_STYLE = """
:root{color-scheme:light dark;--ink:#17262b;--quiet:#566a70;--line:#d5dee0;--paper:#fff;--warn:#8a4b00}
@media (prefers-color-scheme:dark){:root{--ink:#e6eef0;--quiet:#9fb2b8;--line:#2c3d42;--paper:#101a1d;--warn:#f0b35a}}
body{font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:46rem;margin:2.5rem auto;padding:0 1.25rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .6rem}h2{font-size:1.25rem;margin:2.2rem 0 .5rem;border-top:1px solid var(--line);padding-top:1.2rem}
h3{font-size:1rem;margin:1.4rem 0 .3rem}table{border-collapse:collapse;margin:.8rem 0;font-variant-numeric:tabular-nums;width:100%}
th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid var(--line);vertical-align:top}th:first-child,td:first-child{text-align:left}
th{font-weight:600;color:var(--quiet);font-size:.85rem}.wide{overflow-x:auto}figure{margin:1rem 0;background:#fff;border:1px solid var(--line);border-radius:6px;padding:.9rem}
figcaption{color:#566a70;font-size:.85rem;margin-bottom:.5rem}svg{max-width:100%;height:auto;font-family:system-ui,sans-serif}
td:not(:first-child){white-space:nowrap}td:first-child{min-width:6rem}h1+p{font-size:1.2rem;font-weight:600}.warning{border-left:4px solid var(--warn);padding:.2rem 0 .2rem .9rem}li{margin:.25rem 0}td:first-child,p,li{overflow-wrap:break-word}
@media print{body{margin:0;max-width:none}figure,table{break-inside:avoid}}
"""
# Nothing may be fetched, whatever a name in it says.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def to_html(blocks: Sequence[Block], title: str) -> str:
    """Return one page that needs nothing beside it: no script, no font, no request."""
    inside = "\n".join(_html(each) for each in blocks)
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{inside}\n</body></html>\n'


def _html(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
    if isinstance(block, Text):
        kind = ' class="warning"' if block.warning else ""
        return f"<p{kind}>{escape(block.text)}</p>"
    if isinstance(block, Bullets):
        return "<ul>" + "".join(f"<li>{escape(each)}</li>" for each in block.items) + "</ul>"
    if isinstance(block, Picture):
        return f"<figure><figcaption>{escape(block.title)}</figcaption>{to_svg(block.drawing)}</figure>"
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in block.head)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(each)}</td>" for each in row) + "</tr>" for row in block.rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def to_markdown(blocks: Sequence[Block]) -> str:
    """Return the words and tables as Markdown; figures are left out, their numbers stand in the tables."""
    return "\n\n".join(_markdown(each) for each in blocks if not isinstance(each, Picture)) + "\n"


def _markdown(block: Heading | Text | Bullets | Table) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {_mark(block.text)}"
    if isinstance(block, Text):
        return f"> {_mark(block.text)}" if block.warning else _mark(block.text)
    if isinstance(block, Bullets):
        return "\n".join(f"- {_mark(each)}" for each in block.items)
    lines = [block.head, ["---", *["---" if block.words else "---:"] * (len(block.head) - 1)], *block.rows]
    return "\n".join(
        "| " + " | ".join(cell if number == 1 else _mark(cell) for cell in row) + " |"
        for number, row in enumerate(lines)
    )


_TURNERS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # change the direction of text
_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~$&]|(?<=\w):(?=//)|^[-+.](?= ))")


def _mark(text: str) -> str:
    """Return a text that Markdown shows letter by letter."""
    shown = "".join(c if c.isprintable() and c not in _TURNERS else " " for c in text)
    return _MARKS.sub(r"\\\1", shown)
