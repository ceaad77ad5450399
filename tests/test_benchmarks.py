"""The rows of a matrix survive a cut-off, are measured once, and belong to the code that they were measured with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from transfer_core.models.heads import PrototypeHead
from transfer_core.strategies import STRATEGIES
from transfer_core.strategies.fine_tuning import FineTuning
from transfer_core.strategies.probe_then_tune import ProbeThenTune

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import code_version
import few_shot
from common import Rows


def test_the_benchmarks_prototypes_are_those_of_the_strategy() -> None:
    rng = torch.Generator().manual_seed(0)
    support, queries = torch.randn(12, 6, generator=rng) + 1, torch.randn(20, 6, generator=rng) + 1
    y = torch.arange(12) % 3
    head = PrototypeHead(6, 3, normalise=True)
    head.take_centre(support)
    head.take(support, y)
    assert torch.equal(few_shot.prototypes(support, y, queries, 3), head(queries).argmax(1))


def never() -> dict[str, float]:
    raise AssertionError("measured again")


def test_what_is_there_is_not_measured_again_and_a_torn_line_is_no_row(tmp_path: Path) -> None:
    rows = Rows("matrix", tmp_path)
    for number in range(3):
        assert rows.get(f"row {number}", lambda number=number: {"value": number}) == {"value": number}
    path = tmp_path / "matrix.jsonl"
    path.write_text(path.read_text()[:-9])  # cut off inside the third
    again = Rows("matrix", tmp_path)
    assert [again.get(f"row {number}", never) for number in range(2)] == [{"value": 0}, {"value": 1}]
    assert again.get("row 2", lambda: {"value": 20}) == {"value": 20}
    assert [Rows("matrix", tmp_path).get(f"row {number}", never)["value"] for number in range(3)] == [
        0,
        1,
        20,
    ]


def test_a_row_keeps_the_key_of_its_measuring(tmp_path: Path) -> None:
    Rows("matrix", tmp_path).get("old", lambda: {"value": 1})
    path = tmp_path / "matrix.jsonl"
    path.write_text(path.read_text().replace('"key": "old"', '"key": "new"'))
    assert Rows("matrix", tmp_path).get("new", never) == {"value": 1}
    assert '"measured_with": "old"' in path.read_text()


def test_a_version_is_that_of_all_the_code_a_run_goes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {each: code_version.code_version(each) for each in STRATEGIES}
    assert len(set(before.values())) == len(before)
    changed = {"strategies/feature_extraction": {ProbeThenTune}, "training/loop": {ProbeThenTune, FineTuning}}
    for name, strategies in changed.items():
        path = code_version.CORE / f"{name}.py"
        with monkeypatch.context() as patch:
            patch.setitem(code_version._CODE, path, "another")
            now = {
                each
                for each in (ProbeThenTune, FineTuning)
                if code_version.code_version(each) != before[each]
            }
        assert now == strategies
