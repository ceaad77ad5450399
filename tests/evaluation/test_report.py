"""A report is its rows: kept whole, written for spreadsheets without harm, and every figure follows from them."""

from __future__ import annotations

import csv
import errno
import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer_core.data.manifest import Manifest, Row
from transfer_core.errors import UserError
from transfer_core.evaluation.decision import Decision, Wishes
from transfer_core.evaluation.metrics import make_metrics
from transfer_core.evaluation.report import Report, load_report, safe_cells, write_csv

CLASSES = ("=cmd|' /C calc'!A0", "ok", "scratch, deep")
PATHS = ("@SUM(A1)", "-2", "a,b.png", 'c"d.png', "e\nf.png", "plain.png")
PARTS = ("train", "val", "test", "unlabelled")


def make_report(grouped: bool = False) -> Report:
    rng = np.random.default_rng(0)
    rows, parts = [], []
    for n in range(60):
        part = PARTS[n % 4]
        label = None if part == "unlabelled" else CLASSES[n % 3]
        about = {"domain": "+d" if n % 2 else None, "group": f"g{n // 12}" if n % 5 else None}
        rows.append(Row(f"{n:064x}", f"{n:064x}", PATHS[n % 6], 9, 9, label, **about))
        parts.append(part)
    probabilities = rng.dirichlet([1, 1, 1], 60).astype(np.float32)
    manifest = Manifest("set", CLASSES, tuple(rng.permutation(np.array(rows, dtype=object))))
    return Report(
        manifest, tuple(row.image for row in rows), tuple(parts), probabilities, grouped, {"best": 3}
    )


DECISION = Decision(CLASSES, Wishes(), 1.7, 0.2, 15, shifted=False)


def read_csv(report: Report) -> list[list[str]]:
    out = io.StringIO()
    write_csv(report, DECISION, out)
    return list(csv.reader(io.StringIO(out.getvalue())))


@pytest.mark.parametrize("grouped", [False, True])
def test_what_was_saved_is_loaded(tmp_path: Path, grouped: bool) -> None:
    report = make_report(grouped)
    report.save(tmp_path / "run")
    again = load_report(tmp_path / "run", report.manifest)
    assert np.array_equal(again.probabilities, report.probabilities)
    assert again.probabilities.dtype == np.float32
    assert replace(again, probabilities=report.probabilities) == report
    assert again.metrics() == report.metrics()


def test_a_report_that_could_not_be_written_whole_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def fsync(_: int) -> None:
        calls.append(1)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(UserError) as refused:
        make_report().save(tmp_path)
    assert refused.value.kind == "disk-full"
    assert not (tmp_path / "report.json").exists()


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("part", PARTS)
def test_figures_follow_from_the_rows_of_the_written_table(part: str, grouped: bool) -> None:
    report = make_report(grouped)
    _, *table = read_csv(report)
    own = [row for row in table if row[2] == part and row[3]]
    spelled = [safe_cells([name])[0] for name in CLASSES]
    truth = np.array([spelled.index(row[3]) for row in own], dtype=np.int64)
    said = np.array([np.argmax([float(each) for each in row[6:9]]) for row in own], dtype=np.int64)
    groups = [row[5] or row[0] for row in own] if grouped else None
    made = report.metrics(part)
    assert made == make_metrics(truth, said, CLASSES, groups)
    assert made.n == len(own) == (0 if part == "unlabelled" else 15)


def test_the_table_has_a_row_for_each_image_and_a_column_for_each_class() -> None:
    report = make_report()
    head, *table = read_csv(report)
    raw = [f"uncalibrated {name}" for name in CLASSES]
    assert head == [
        "image",
        "file",
        "split",
        "label",
        "domain",
        "group",
        f"'{CLASSES[0]}",
        *CLASSES[1:],
        *raw,
    ]
    assert [row[0] for row in table] == list(report.images)
    rows = report.manifest.by_image
    for cells, probabilities in zip(table, report.probabilities, strict=True):
        row = rows[cells[0]]
        facts = [row.path, row.label, row.domain, row.group]
        assert [cells[1], *cells[3:6]] == safe_cells(facts)
        assert [float(each) for each in cells[6:9]] == DECISION.calibrated(probabilities[None])[0].tolist()
        assert [float(each) for each in cells[9:]] == pytest.approx(list(probabilities), rel=1e-5)


def test_no_cell_of_the_table_is_a_formula() -> None:
    for row in read_csv(make_report()):
        assert not [cell for cell in row if cell[:1] in tuple("=+-@\t\r")]


@given(st.text(max_size=20))
def test_a_cell_is_kept_but_for_one_mark(cell: str) -> None:
    (safe,) = safe_cells([cell])
    assert safe[:1] not in tuple("=+-@\t\r") or not cell
    assert cell == (safe[1:] if safe != cell else safe)
    assert (safe != cell) == (cell[:1] in tuple("=+-@\t\r") and bool(cell))


def test_rows_are_those_of_a_part_with_their_own_probabilities() -> None:
    report = make_report()
    assert len(report.rows()) == 60
    for row, part, probabilities in report.rows("val"):
        number = report.images.index(row.image)
        assert part == report.parts[number] == "val"
        assert np.array_equal(probabilities, report.probabilities[number])
