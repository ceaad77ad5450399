"""A run says one thing, wherever it says it: page, JSON, command line, HTML, PDF, model card and bundle."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.screens import Study, show, words
from transfer_core.bundle import pdf
from transfer_core.bundle.document import to_html, to_markdown
from transfer_core.bundle.make import measured_on_test_images
from transfer_core.bundle.story import tell
from transfer_core.cli import main
from transfer_core.runs.comparison import compare
from transfer_core.runs.run import Run
from transfer_core.runs.take_home import make_subject

Figures = dict[tuple[str, ...], str]  # (class or domain or nothing, which figure) -> as it is written
COLUMNS = {  # as tables call their figures -> as the JSON does
    "Found (recall)": "recall", "Right when said (precision)": "precision", "F1": "f1",
    "Others spared (specificity)": "specificity", "Right": "accuracy", "Accuracy": "accuracy",
    "Balanced": "balanced_accuracy", "Balanced accuracy": "balanced_accuracy", "Macro-F1": "macro_f1", "n": "n",
    "recall": "recall", "precision": "precision", "specificity": "specificity",
}  # fmt: skip
ENDS = r"[\d.]+ to [\d.]+"
SHARE = r"(?:[<>] )?[\d.]+ %|-"


# -- eight kinds of run -------------------------------------------------------------------


def by_image(study: Study) -> Run:
    return study.ended(strategy="fine_tuning")


def by_group(study: Study) -> Run:
    study.choices = {"rule": "group"}
    return study.ended(strategy="fine_tuning")


def by_domain(study: Study) -> Run:
    study.choices = {"rule": "domain", "test_domain": list(study.manifest.domains)[-1]}
    return study.ended(strategy="fine_tuning")


def adapted(study: Study) -> Run:
    source, target = list(study.manifest.domains)[:2]
    study.choices = {"rule": "transfer", "train_domain": source, "test_domain": target}
    run = study.ended(strategy="dann", wrong=1)
    study.ended(strategy="source_only", wrong=5)
    return run


def by_hand(study: Study) -> Run:
    truth = {row.image: row.label for row in study.manifest.rows}
    old, target = study.manifest, list(study.manifest.domains)[1]
    rows = tuple(replace(row, label=None) if row.domain == target else row for row in old.rows)
    study.library.add(replace(old, rows=rows))
    study.library.delete(old.id)
    run = adapted(study)
    for number, image in enumerate(study.lab.spot_check(run).images):
        study.library.answer(run.manifest, image, truth[image] if number else None)
    return run


def stopped(study: Study) -> Run:
    return study.ended("stopped", strategy="probe_then_tune")


def several(study: Study) -> Run:
    return study.ended(strategy="fine_tuning", networks=3)


def never_said(study: Study) -> Run:
    study.silent = study.manifest.classes[0]
    return study.ended(strategy="feature_extraction")


KINDS = (by_image, by_group, by_domain, adapted, by_hand, stopped, several, never_said)


# -- what each of them says ---------------------------------------------------------------


def headline(text: str) -> Figures:
    """The sentence that all begin with: how many are right, of how many, between what."""
    found = re.search(rf"[Rr]ight on ({SHARE}) of ([\d,]+) unseen images?[\s(]+([^)\n]*)", text)
    assert found, text[:300]
    ends = re.search(ENDS, found[3])
    return {("accuracy",): found[1], ("n",): found[2], ("accuracy_ci",): ends[0] if ends else "-"}


def figures_of(table: list[list[str]]) -> Figures:
    """A table with a row for each class or domain, an interval's column behind its figure's."""
    head, *rows = table
    found: Figures = {}
    for row in rows:
        name, last = row[0], ""
        for column, cell in zip(head[1:], row[1:], strict=True):
            if column.strip() in COLUMNS:
                last = COLUMNS[column.strip()]
                found[name, last] = cell
            else:
                found[name, f"{last}_ci"] = cell
    return found


def page(at: AppTest) -> Figures:
    text = words(at).replace("\\", "")
    found = headline(text)
    for card, ends in (("Balanced accuracy", "balanced_accuracy"), ("Macro-F1", "macro_f1")):
        found[(ends,)] = next(each.value for each in at.metric if each.label == card)
    for each in at.dataframe:
        table = [list(each.value.columns), *[[str(cell) for cell in row] for row in each.value.to_numpy()]]
        if table[0][0] in ("Class", "Domain") and "n" in table[0] and len(table[0]) > 3:
            found |= figures_of(table)
    return found | kappa(text)


def kappa(text: str) -> Figures:
    found = re.search(r"kappa\)?:? (-?[\d.]+) \(95 % interval ([^)]*)\)", text)
    return {("kappa",): found[1], ("kappa_ci",): found[2]} if found else {}


def plain(data: dict[str, Any]) -> Figures:
    """The JSON's numbers, written by a rule of our own."""

    def share(value: float | None) -> str:
        return "-" if value is None else f"{100 * value:.1f} %"

    def both(row: dict[str, Any], names: tuple[str, ...], *of: str) -> Figures:
        told: Figures = {}
        for name in names:
            ends = row[f"{name}_ci"]
            told[*of, name] = share(row[name])
            told[*of, f"{name}_ci"] = "-" if ends is None else f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}"
        return told

    test, main_ = data["test"], ("accuracy", "balanced_accuracy", "macro_f1")
    found = both(test, main_) | {("n",): str(test["n"])}
    if test["kappa_ci"]:
        low, high = test["kappa_ci"]
        found |= {("kappa",): f"{test['kappa']:.2f}", ("kappa_ci",): f"{low:.2f} to {high:.2f}"}
    for each in test["per_class"]:
        found |= both(each, ("recall", "precision", "f1", "specificity"), each["class"])
        found[each["class"], "n"] = str(each["support"])
    for name, each in data.get("domains", {}).items():
        found |= both(each, main_, name) | {(name, "n"): str(each["n"])}
    return found


class Parsed(HTMLParser):
    """Of a page of HTML every text and every table, drawings left out."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tables: list[list[list[str]]] = []
        self._drawing = 0  # how deep inside one
        self.feed(text)

    def handle_starttag(self, tag: str, _: Any) -> None:
        self._drawing += tag in ("svg", "style", "title")
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("p", "h1", "h2", "h3", "li", "td", "th", "figcaption"):
            self.texts.append("")
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._drawing -= tag in ("svg", "style", "title")

    def handle_data(self, data: str) -> None:
        if self._drawing or not data.strip():
            return
        self.texts[-1] += data
        if self.tables and self.tables[-1][-1] and self.texts[-1] == self.tables[-1][-1][-1] + data:
            self.tables[-1][-1][-1] += data


def document(text: str, tables: list[list[list[str]]]) -> Figures:
    found = headline(text) | kappa(text)
    for table in tables:
        if table[0][0] == "Figure":
            for name, value, ends, n in table[1:]:
                key = COLUMNS[name]
                found |= {(key,): value, (f"{key}_ci",): ends, ("n",): n}
        elif table[0][0] in ("Class", "Domain") and len(table[0]) > 3:
            found |= figures_of(table)
    return found


def markdown(text: str) -> tuple[str, list[list[list[str]]]]:
    blocks = text.replace("\\", "").split("\n\n")
    tables = [
        [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in block.splitlines() if "---" not in line]
        for block in blocks if block.startswith("| ")
    ]  # fmt: skip
    return text.replace("\\", ""), tables


def command_line(text: str) -> Figures:
    found = headline(text) | kappa(text)
    for line in text.splitlines():
        name, colon, rest = line.strip().removeprefix("domain ").partition(": ")
        rest = rest if line.startswith("  ") and colon else line if line.startswith("balanced") else ""
        for word, value, ends in re.findall(
            rf"([A-Za-z1-]+(?: accuracy)?) ({SHARE})(?: \(({ENDS}) %\))?", rest
        ):
            key = COLUMNS.get(word[0].upper() + word[1:], COLUMNS.get(word))
            if key:
                of = (name,) if line.startswith("  ") else ()
                found[*of, key], found[*of, f"{key}_ci"] = value, ends or "-"
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_the_same_wherever_it_stands(
    study: Study, kind: Callable[[Study], Run], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    study.drawn = True
    run = kind(study)
    lab = study.lab

    def ask(*arguments: str) -> str:
        assert main(list(arguments)) == 0
        return capsys.readouterr().out

    told = json.loads(ask("report", run.id, "--json"))
    at = show("results/report.py", run=run.id)
    story = tell(make_subject(lab, run))
    html = Parsed(to_html(story, "x"))
    card = markdown(to_markdown(story))
    given: list[str] = []
    monkeypatch.setattr(pdf, "_safe", lambda text: (given.append(text), "x")[1])
    pdf.write_pdf(story, "x", tmp_path / "report.pdf")
    lines = ask("report", run.id)
    wanted = plain(told)
    everywhere = {
        "page": page(at),
        "html": document(" ".join(html.texts), html.tables),
        "card": document(*card),
        "command line": command_line(lines),
        "show": plain(json.loads(ask("show", run.id, "--json"))),
        "bundle": plain(
            {"test": {"per_class": [], "kappa_ci": None} | measured_on_test_images(make_subject(lab, run))}
        ),
    }
    for place, found in everywhere.items():
        assert len(found) >= 5, place
        for key, value in found.items():
            assert value == wanted[key], (place, key)
    # Left out of documents: how many others are spared, and a domain's rare figure where there is but one domain.
    few = len(told["domains"]) < 2
    asked = {
        key for key in wanted
        if not key[-1].startswith(("specificity", "kappa"))
        and not (key[0] in told["domains"] and (few or key[-1] == "macro_f1_ci"))
    }  # fmt: skip
    assert all(asked <= set(everywhere[place]) for place in ("html", "card"))
    assert asked - {("macro_f1_ci",), ("balanced_accuracy_ci",)} <= set(everywhere["page"])
    assert given == html.texts, "on paper stands what stands in the browser"

    # What speaks against the figures, what is not defined, and who gave the labels.
    said = words(at).replace("\\", "")
    for caveat in told["caveats"]:
        assert all(caveat in text for text in (said, card[0], lines, *[" ".join(html.texts)]))
    assert (kind is stopped) == any(
        f"Stopped after 2 of {told['epochs']} epochs" in each for each in told["caveats"]
    )
    listed = ask("runs")
    for text in (said, card[0].lower(), lines, listed):
        assert (f"labelled by hand, {told['test']['n']} images" in text) == (
            kind is by_hand and text is not said
        )
    assert ("Labelled by hand" in said) == told["test"]["labelled_by_hand"] == (kind is by_hand)
    assert f"{100 * told['test']['accuracy']:.1f} %" in listed
    for text in (said, card[0], lines):
        assert ("Never said of these images" in text) == (kind is never_said)

    # What trains and for how long is the same before and after.
    split = lab.library.get_split(run.manifest, run.spec.split)
    side = compare(lab, [run])
    assert side
    assert side.entries[0].trained == lab.plan(run.spec, study.manifest, split).trained
    assert told["epochs"] == run.spec.total_epochs
