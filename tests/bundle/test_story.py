"""What the model card and the readme say of a run, letter by letter and with its limits."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

from tests.bundle.conftest import Made
from transfer_core.bundle.document import to_markdown
from transfer_core.bundle.story import tell
from transfer_core.runs.take_home import make_subject


class Tags(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_the_report_asks_the_network_for_nothing_whatever_a_name_says(made: Made) -> None:
    page = (made.folder / "report.html").read_text(encoding="utf-8")
    found = Tags(page)
    assert not found.tags & {
        "img",
        "script",
        "link",
        "a",
        "b",
        "iframe",
        "object",
        "embed",
        "image",
        "use",
        "base",
    }
    assert not found.attributes & {"src", "href", "srcset", "xlink:href", "onload", "onclick", "style"}
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page
    assert {"svg", "table", "h1"} <= found.tags
    assert "&lt;img src=http://evil.test/a.png&gt;" in page


def test_markdown_shows_names_letter_by_letter(made: Made) -> None:
    for name in ("model_card.md", "README.md"):
        text = (made.folder / name).read_text(encoding="utf-8")
        assert not re.search(r"(?<!\\)<(img|b)\b", text)
        assert not re.search(r"(?<!\\)\]\(", text)
        assert "\\[a\\](http" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


def test_the_readme_says_what_the_script_does_not_tell(made: Made) -> None:
    text = " ".join((made.folder / "README.md").read_text(encoding="utf-8").split())
    assert (
        "`to_a_person` goes by the probability alone. Whether an image is unlike the training images is told by the app"
        in text
    )


def test_the_report_says_the_figures_with_n_and_interval(made: Made) -> None:
    page, test = (made.folder / "report.html").read_text(encoding="utf-8"), made.lab.tested(made.run)
    low, high = (100 * end for end in test["accuracy_ci"])
    spread = f"95 % interval {low:.1f} to {high:.1f} %" if low < high else "too few images for an interval"
    assert f"Right on {100 * test['accuracy']:.1f} % of {test['n']} unseen images ({spread})" in page
    assert (made.folder / "report.pdf").read_bytes().startswith(b"%PDF-")


def test_without_labels_the_story_claims_nothing(made: Made) -> None:
    subject = make_subject(made.lab, made.run)
    tested = {row.image for row in subject.tested()}
    rows = tuple(replace(row, label=None) if row.image in tested else row for row in subject.manifest.rows)
    report = replace(subject.report, manifest=replace(subject.manifest, rows=rows))
    text = to_markdown(tell(replace(subject, report=report, test=report.metrics().to_json())))
    assert "Not measured: the unseen images have no labels" in text
    assert "Right on" not in text
    assert "95 % interval" not in text
