"""Images that are added to a data set: the domain and the group they would have had, had they come with the first."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from pictures import lay_out, png

from transfer_core.data.adding import fit_in
from transfer_core.data.edit import exclude, set_groups
from transfer_core.data.grouping import group_by_path, match_groups, offer_ways
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.library import Library
from transfer_core.data.manifest import Manifest
from transfer_core.data.sources import arrange, open_source

PATTERN = r"(p\d)_"


def names(site: str, first: int) -> list[str]:
    return [f"set/{site}/{label}/p{n % 3}_{first + n}.png" for label in ("good", "bad") for n in range(6)]


def first_set(library: Library, pattern: str = "") -> Manifest:
    """Two sites, two classes."""
    paths = [*names("Ulm", 0), *names("Munich", 20)]
    candidates, problems = arrange([(path, partial(png, 3 * n)) for n, path in enumerate(paths)])
    candidates = group_by_path(candidates, pattern) if pattern else candidates
    return ingest(candidates, "set", library, problems=problems, group_pattern=pattern)[0]


def more(folder: Path, *sites: str) -> Path:
    return lay_out(folder / "more", {f"{site}/good/p{n}_{90 + n}.png": png(1001 + 40 * k + n) for k, site in enumerate(sites) for n in range(4)})  # fmt: skip


@pytest.mark.parametrize("sites", [("Munich",), ("Munich", "Ulm"), ("deep/Munich",)])
def test_a_folder_named_as_a_known_domain_is_that_domain(library: Library, tmp_path: Path, sites: tuple[str, ...]) -> None:  # fmt: skip
    parent = first_set(library)
    candidates, _ = open_source(more(tmp_path, *sites), parent)
    assert {each.domain for each in candidates} == {site.rpartition("/")[2] for site in sites}
    assert {each.label for each in candidates} == {"good"}
    alone, _ = open_source(more(tmp_path, *sites))
    assert {each.label for each in alone} == {"good"}


def test_images_right_in_a_known_domain_have_no_label(library: Library) -> None:
    parent = first_set(library)
    candidates, _ = arrange([("x/Munich/1.png", bytes), ("x/Munich/2.png", bytes)], (), parent)
    assert {(each.domain, each.label) for each in candidates} == {("Munich", None)}


def test_the_rule_that_made_the_groups_makes_those_of_what_is_added(library: Library, tmp_path: Path) -> None:  # fmt: skip
    parent = first_set(library, PATTERN)
    later = library.add_version(exclude(parent, [parent.rows[0].image]), "one left out")
    candidates, problems = fit_in(open_source(more(tmp_path, "Munich"), later)[0], later, library)
    assert [each.group for each in candidates] == ["p0", "p1", "p2", "p3"]
    assert not problems
    both, _ = ingest(candidates, library.version_name(later.id), library, parent=later)
    assert all(row.group for row in both.rows)
    assert library.about(both.id).group_pattern == PATTERN
    by_hand = set_groups(both, {row.image: "one" for row in both.rows[:3]})
    assert library.about(library.add_version(by_hand, "by hand", "").id).group_pattern == ""


def test_what_is_missing_is_told(library: Library) -> None:
    parent = first_set(library, "")
    grouped = library.add_version(
        set_groups(parent, {row.image: f"g{n % 5}" for n, row in enumerate(parent.rows)}), "by hand", ""
    )
    new = [Candidate(f"x/good/{n}.png", partial(png, 5000 + n), "good") for n in range(3)]
    _, problems = fit_in(new, grouped, library)
    assert {each.kind for each in problems} == {"no-domain", "no-group"}
    assert all("3 images were" in each.message for each in problems)


def test_problems_of_before_stay_listed(library: Library) -> None:
    torn = Candidate("good/torn.png", partial(bytes, png(1)[:50]), "good")
    good = [Candidate(f"{'ab'[n % 2]}/{n}.png", partial(png, n), "ab"[n % 2]) for n in range(8)]
    parent, first = ingest([*good, torn], "set", library)
    assert [each.file for each in first] == ["good/torn.png"]
    other = Candidate("good/torn too.png", partial(bytes, png(2)[:50]), "good")
    lone = Candidate("c/1.png", partial(png, 99), "c")
    both, problems = ingest([other, lone], library.version_name(parent.id), library, parent=parent)
    assert [each.file for each in problems] == ["good/torn.png", "good/torn too.png", "c"]
    last = [Candidate(f"c/{n}.png", partial(png, 99 + n), "c") for n in range(1, 5)]
    _, problems = ingest(last, library.version_name(both.id), library, parent=both)
    assert "c" not in [each.file for each in problems]  # the class has enough now


def test_only_groups_that_say_more_than_the_classes_are_offered(library: Library) -> None:
    parent = first_set(library)
    offered = offer_ways(parent)
    assert "The folder an image lies in" not in offered  # that is the class, or site and class
    assert list(offered) == ["The file name up to the first _ or -"]
    assert offered["The file name up to the first _ or -"] == match_groups(
        [row.path for row in parent.rows], PATTERN
    )


def test_the_finest_groups_are_offered_first(library: Library) -> None:
    files = [Candidate(f"{'ab'[n % 2]}/{n // 8}-x{n // 2}.png", partial(png, n), "ab"[n % 2],
                       extra={"view": "lr"[n % 2], "day": str(n // 6)}) for n in range(24)]  # fmt: skip
    manifest, _ = ingest(files, "set", library)
    offered = offer_ways(manifest)
    assert list(offered) == ["The column day", "The file name up to the first _ or -"]  # 4 groups, 3 groups
    assert "The column view" not in offered  # the same as the classes
