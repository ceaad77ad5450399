"""One story, three ways to show it, and no name that can break out of any."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from pages.ui.parts import PALETTE as OF_THE_PAGES
from transfer_core.bundle.document import Bullets, Heading, Picture, Table, Text, to_html, to_markdown
from transfer_core.bundle.drawing import PALETTE, Box, Label, to_svg
from transfer_core.bundle.pdf import NOTE, write_pdf
from transfer_core.bundle.plots import draw_confusion, draw_curves, draw_intervals, draw_reliability
from transfer_core.bundle.readme import int8_words
from transfer_core.bundle.subject import Epoch
from transfer_core.evaluation.calibrate import reliability

HOSTILE = '</svg><script src="http://evil.test">&amp;*_|`'


def per_class(name: str, n: int = 5) -> dict:
    return {"class": name, "recall": 0.5, "recall_ci": (0.2, 0.8), "support": n}


def pictures(name: str) -> list[Picture]:
    rng = np.random.default_rng(0)
    chances, truth = rng.dirichlet([1, 1], 100), rng.integers(0, 2, 100)
    found = reliability(chances, truth)
    epochs = [Epoch(number, {"accuracy": 0.5}, {"accuracy": 0.6}) for number in range(1, 8)]
    drawings = [
        draw_intervals([per_class(name), per_class("b", 0)]), draw_confusion([[3, 1], [0, 7]], [name, "b"]),
        draw_reliability(found, found), draw_curves(epochs),
    ]  # fmt: skip
    return [Picture(each, name) for each in drawings]


def test_the_same_class_has_the_same_colour_as_on_the_pages() -> None:
    assert PALETTE == OF_THE_PAGES


@pytest.mark.parametrize("name", [HOSTILE, "肺結節", "a" * 300, ""])
def test_every_figure_is_well_formed_and_inside_its_frame(name: str) -> None:
    for picture in pictures(name):
        svg = ET.fromstring(to_svg(picture.drawing))
        assert not [each for each in svg.iter() if each.tag == "script"]
        for shape in picture.drawing.shapes:
            if isinstance(shape, Label):
                assert 0 <= shape.x <= picture.drawing.width
                assert 0 <= shape.y <= picture.drawing.height


def test_a_confusion_matrix_shades_by_the_share_of_its_row() -> None:
    drawing = draw_confusion([[10, 0], [500, 500]], ["a", "b"])
    colours = [each.colour for each in drawing.shapes if isinstance(each, Box)]
    darkness = [sum(int(colour[at : at + 2], 16) for at in (1, 3, 5)) for colour in colours]
    assert darkness[0] < darkness[2] == darkness[3] < darkness[1]


def test_hostile_names_stay_words_in_html_and_markdown() -> None:
    blocks = [
        Heading(HOSTILE, 1),
        Text(HOSTILE),
        Bullets([HOSTILE]),
        Table((HOSTILE, "b"), [(HOSTILE, "1")]),
        *pictures(HOSTILE),
    ]
    page = to_html(blocks, HOSTILE)
    assert not re.search(r"<script|</svg><script", page)
    assert page.count("<svg") == page.count("</svg>") == 4
    text = to_markdown([*blocks, Text("# no heading\n- no list"), Text("- no list")])
    assert "\\<script" in text
    assert not re.search(r"(?<!\\)[<`*]", text)
    assert not re.search(r"^(# no heading|- no list)", text, re.M)


def test_paper_takes_every_block_and_says_where_letters_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reportlab.rl_config.pageCompression", 0)
    for name, noted in (("Müller <b>", False), ("肺", True), (HOSTILE, False)):
        blocks = [
            Heading(name, 1),
            Text(name, warning=True),
            Bullets([name]),
            Table(("a",) * 7, [(name,) * 7] * 80),
            *pictures(name),
        ]
        write_pdf(blocks, name, tmp_path / "report.pdf")
        content = (tmp_path / "report.pdf").read_bytes()
        assert content.startswith(b"%PDF-")
        assert (NOTE.split()[0].encode() + b" " + NOTE.split()[1].encode() in content) == noted
        again = tmp_path / "again.pdf"
        write_pdf(blocks, name, again)
        assert again.read_bytes() == content


@pytest.mark.parametrize(
    ("ms", "words"),
    [(10.0, "2.0 times as fast"), (20.0, "no faster"), (40.0, "slower (0.50 times the speed)")],
)
def test_the_smaller_model_is_not_praised_for_what_it_is_not(ms: float, words: str) -> None:
    facts = {"mb_float": 13.0, "mb_int8": 4.0, "ms_float": 20.0, "ms_int8": ms, "machine": "here", "n": 0}
    assert words in int8_words(facts)
    assert "could not be measured" in int8_words(facts)
