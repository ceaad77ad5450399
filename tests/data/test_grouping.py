"""Somebody's own pattern: what it says is what Python says, and it ends."""

from __future__ import annotations

import re
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.data.pictures import png
from tests.test_cli import ask
from transfer_core.data import grouping
from transfer_core.data.adding import fit_in
from transfer_core.data.grouping import PATTERNS, match_each, match_groups, offer_ways
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.library import Library
from transfer_core.data.names import short_name
from transfer_core.errors import UserError

WAITING = (sys.executable, "-c", "import sys, threading; sys.stdin.read(); threading.Event().wait()")
NAMES = [
    "a/b_1.png", "site/Müller-07/x.JPG", "P12_left.tif", "12/34/56.png", "no digits", "子/图_3.png", "", "_", "a\nb_2",
    "٣٤_arabic.png", "\udcff_9.png", "x" * 300 + "_1.png", "patient 4 (copy).png",
]  # fmt: skip
ORDINARY = [
    *PATTERNS.values(), r"(\d+)", r"(\w+)_", r"patient (\d+)", r"^([^/]+)/", r"(?i)(p\d+)_", r"(?:left|right)", r"\b(\w+)$",
    r"(?<=_)(\d)", r"([a-z]+)(\d)?", r"(?P<who>[A-ZÄÖÜ]\w+)-(?P<n>\d+)", r"(.)\1", r"(x*)", r"[\s()]+(\w+)", r".*/(.*)_(.*)\.",
]  # fmt: skip


@pytest.mark.parametrize("pattern", ORDINARY)
def test_it_says_what_python_says(pattern: str) -> None:
    matches = [re.search(pattern, name) for name in NAMES]
    bracket = min(re.compile(pattern).groups, 1)
    said = [(each[bracket] or None) if each else None for each in matches]
    assert match_each(NAMES, pattern) == [short_name(each) for each in said]


@pytest.mark.parametrize(
    "pattern", ["(", "*", "[a", "a{2,1}", "x{99999999999999}", "(" * 500 + ")" * 500, "x" * 2000]
)
def test_what_is_no_pattern_is_one_sentence(pattern: str) -> None:
    with pytest.raises(UserError, match=r"cannot be read|has at most") as told:
        match_groups(NAMES, pattern)
    assert told.value.kind == "bad-pattern"


def test_a_matcher_that_only_waits_is_ended_wherever_one_runs(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    library = Library(home)
    new = [Candidate(f"{'ab'[n % 2]}/p{n // 2}_{n}.png", partial(png, n), "ab"[n % 2]) for n in range(8)]
    parent, _ = ingest(new, "set", library, group_pattern=r"(p\d)_")
    assert offer_ways(parent)
    monkeypatch.setattr(grouping, "MATCHER", WAITING)
    monkeypatch.setattr(grouping, "LIMIT", 0.1)
    with pytest.raises(UserError, match="takes too long"):
        match_groups(NAMES, "a")
    assert offer_ways(parent) == {}
    assert [each.group for each in fit_in(new, parent, library)[0]] == [None] * 8
    (tmp_path / "one.png").write_bytes(png(1))
    code, answer = ask(capsys, "ingest", tmp_path, "--group-from-path", "a")
    assert (code, answer["error"]["kind"]) == (2, "bad-pattern")
    assert not psutil.Process().children(recursive=True)
