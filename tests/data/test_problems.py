"""However much is wrong, and however long the names are: what is kept of it stays small, and what is counted true."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.pictures import lay_out, png
from tests.test_cli import ask
from transfer_core.data import problems as module
from transfer_core.data.grouping import match_each
from transfer_core.data.ingest import Candidate
from transfer_core.data.label_table import Columns, lay_over, read_table
from transfer_core.data.library import Library
from transfer_core.data.manifest import Problem
from transfer_core.data.names import LONGEST, short_name
from transfer_core.data.problems import EXAMPLES, bounded, count_problems
from transfer_core.data.sources import arrange

FOUND = st.lists(
    st.builds(Problem, st.text(max_size=3), st.sampled_from("abc"), st.text(max_size=2)), unique=True
)


@given(FOUND, FOUND, st.integers(1, 4))
def test_numbers_are_true_and_no_kind_has_too_many_examples(
    first: list[Problem], second: list[Problem], most: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "EXAMPLES", most)
        kept = bounded(first)
        assert count_problems(kept) == count_problems(first)
        assert [each for each in kept if not each.more] == [
            each for n, each in enumerate(first) if sum(other.kind == each.kind for other in first[:n]) < most
        ]
        assert bounded(kept) == kept
        new = [each for each in second if each not in first]
        assert count_problems(bounded([*kept, *new])) == count_problems([*first, *new])


def test_a_table_that_matches_nothing_is_counted_and_not_listed(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    n = 20 * EXAMPLES
    folder = lay_out(tmp_path / "set", {f"{'ab'[k % 2]}/{k}.png": png(k) for k in range(4)})
    rows = [f"{k}.png,{'ab'[k % 2]}" for k in range(4)] + [f"none/{k}.png,a" for k in range(n)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,class", *rows]))
    _, answer = ask(capsys, "ingest", folder, "--labels", tmp_path / "labels.csv")
    missing = [each for each in answer["problems"] if each["kind"] == "missing"]
    assert (len(missing), missing[-1]["more"]) == (EXAMPLES + 1, n - EXAMPLES)
    place = home / "datasets" / answer["manifest"] / "about.json"
    assert place.stat().st_size < 50_000
    kept = Library(home).datasets()
    assert count_problems(kept[0].problems)["missing"] == n

    about = json.loads(place.read_text())  # as it was stored before there was a bound
    about["problems"] = [Problem(f"{k}", "missing", "x").to_json() for k in range(n)]
    place.write_text(json.dumps(about))
    assert count_problems(Library(home).datasets()[0].problems)["missing"] == n
    assert place.stat().st_size < 50_000


ENDLESS = "n" * 100_000


def test_endless_names_are_cut_and_stay_apart() -> None:
    assert short_name(None) is None
    assert short_name("a" * LONGEST) == "a" * LONGEST
    assert len({short_name(ENDLESS + end) for end in "abc"}) == 3
    candidates, problems = arrange(
        [(f"{ENDLESS[:900]}/x.png", bytes), (f"{ENDLESS}/y.png", bytes), ("b/z.png", bytes)]
    )
    assert [(len(each.label or ""), each.path[-5:]) for each in candidates] == [
        (LONGEST, "x.png"),
        (1, "z.png"),
    ]
    assert [(each.kind, len(each.file) < 1000) for each in bounded(problems)] == [("long-name", True)]
    files = [Candidate(f"{n}.png", partial(png, n)) for n in range(2)]
    cells = ",".join([ENDLESS] * 4)
    table = read_table(f"file,class,site,part,more{ENDLESS}\n0.png,{cells}\n1.png,{cells}x".encode())
    told, _ = lay_over(table, Columns("file", "class", "site", "part", table.columns[4:]), files)
    for each in told:
        texts = [each.label, each.domain, each.group, *each.extra, *each.extra.values()]
        assert all(text and len(text) <= LONGEST for text in texts)
    assert len(match_each([ENDLESS], "(.*)")[0] or "") <= LONGEST
