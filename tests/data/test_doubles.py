"""One file twice: in two folders, under two labels, in two parts, with other facts beside it."""

from __future__ import annotations

from functools import partial

import pytest
from pictures import FILES, bring_files, png

from transfer_core.data.edit import relabel
from transfer_core.data.health import check_health
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.library import Library
from transfer_core.data.manifest import Problem

pytestmark = pytest.mark.usefixtures("_quick")


def kinds(problems: list[Problem]) -> list[tuple[str, str]]:
    return sorted((each.file, each.kind) for each in problems)


def test_one_file_twice_counts_once(library: Library) -> None:
    manifest, problems = bring_files(library, FILES | {"north/crack/copy.png": FILES["north/crack/1.png"]})
    assert len(manifest.rows) == len(FILES)
    assert [each.kind for each in problems] == ["duplicate"]


def test_a_labelled_copy_is_kept_before_an_unlabelled_one(library: Library) -> None:
    manifest, _ = bring_files(library, {"a.png": png(1), "cat/z.png": png(1), "dog/2.png": png(2)})
    assert manifest.class_counts == {"cat": 1, "dog": 1}
    assert len(manifest.rows) == 2


def test_one_file_in_two_parts_is_kept_in_one_and_told(library: Library) -> None:
    files = {f"{part}/{c}/{n}.png": png(int(f"{len(part)}{ord(c)}{n}")) for part in ("train", "test") for c in "ab" for n in range(4)}  # fmt: skip
    files["test/a/leak.png"] = files["train/a/0.png"]
    manifest, problems = bring_files(library, files)
    assert len(manifest.rows) == 16
    (problem,) = problems
    assert problem.kind == "duplicate"
    assert "in two parts" in problem.message


def test_one_file_under_two_labels_is_kept_without_one_until_somebody_chooses(library: Library) -> None:
    manifest, problems = bring_files(library, FILES | {"north/sound/wrong.png": FILES["north/crack/1.png"]})
    assert kinds(problems) == [("north/crack/1.png", "conflict"), ("north/sound/wrong.png", "conflict")]
    assert {row.path for row in manifest.rows} == FILES.keys()
    (row,) = [row for row in manifest.rows if row.claims]
    assert (row.path, row.label, row.claims) == ("north/crack/1.png", None, ("crack", "sound"))
    assert library.get(manifest.id) == manifest
    (finding,) = [each for each in check_health(library, manifest, {}) if each.kind == "two-labels"]
    assert finding.images == (row.image,)
    assert "1.png as crack and as sound" in finding.message
    settled = relabel(manifest, {row.image: "sound"})
    assert settled.by_image[row.image].claims == ()
    assert "two-labels" not in {each.kind for each in check_health(library, settled, {})}


def test_a_copy_that_says_otherwise_is_told_and_the_first_by_path_is_kept(library: Library) -> None:
    files = FILES | {"west/crack/copy.png": FILES["north/crack/1.png"]}
    for order in (files, dict(reversed(files.items()))):
        manifest, problems = bring_files(library, order)
        (problem,) = problems
        assert problem.file == "west/crack/copy.png"
        assert "in the domain north and not in west" in problem.message
        assert "west" not in manifest.domains


def test_a_person_of_a_table_is_the_same_group_as_in_dicom_and_nowhere_by_name(library: Library) -> None:
    files = [Candidate(f"{'ab'[n % 2]}/{n}.png", partial(png, n), "ab"[n % 2], person=f"Mustermann {n // 4}")
             for n in range(12)]  # fmt: skip
    manifest, _ = ingest(files, "set", library)
    assert manifest.groups == {library.pseudonym(f"Mustermann {n}"): 4 for n in range(3)}
    assert b"Mustermann" not in b"".join(
        path.read_bytes() for path in library.home.rglob("*") if path.is_file()
    )
