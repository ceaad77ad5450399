"""Data from the command line: tables, groups, versions, windows, and the health check."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.test_cli import ask, pictures
from transfer_core.cli import main
from transfer_core.data.library import Library
from transfer_core.runs.executors import SubprocessExecutor

__all__ = ["pictures"]  # the fixture


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Twelve pictures in one folder, and a table that knows eleven of them."""
    folder = tmp_path / "flat"
    folder.mkdir()
    rows = ["image\tfinding\tpatient\tage"]
    for n in range(12):
        values = np.random.default_rng(n).integers(0, 256, (80, 80, 3), dtype=np.uint8)
        Image.fromarray(values).save(folder / f"p{n // 3}_{n}.png")
        rows += [f"p{n // 3}_{n}.png\t{'sound' if n % 2 else 'crack'}\tP{n // 4}\t{40 + n}"] if n < 11 else []
    (tmp_path / "labels.tsv").write_text("\n".join(rows))
    return folder


def test_labels_from_a_table(home, capsys, flat):
    code, answer = ask(
        capsys, "ingest", flat, "--labels", flat.parent / "labels.tsv", "--group-column", "patient"
    )
    assert code == 0
    assert answer["classes"] == ["crack", "sound"]
    assert [each["kind"] for each in answer["problems"]] == ["not-in-table"]
    assert set(answer["problems"][0]) == {"file", "kind", "message"}
    manifest = Library(home).get(answer["manifest"])
    assert sorted(manifest.groups.values()) == [3, 4, 4]
    assert manifest.groups == {Library(home).pseudonym(f"P{n}"): 4 - n // 2 for n in range(3)}
    assert answer["columns"] == {
        "path": "image", "label": "finding", "domain": None, "group": "patient", "extra": [],
    }  # fmt: skip


def test_patients_and_devices_are_told_by_the_names_of_their_columns(home, capsys, flat, german):
    _, answer = ask(capsys, "ingest", flat, "--labels", german)
    assert (answer["columns"]["group"], answer["columns"]["domain"], answer["groups"]) == (
        "Patient",
        "Gerät",
        6,
    )
    _, answer = ask(capsys, "ingest", flat, "--labels", german, "--group-column", "", "--domain-column", "")
    assert (answer["columns"]["group"], answer["columns"]["domain"]) == (None, None)
    _, answer = ask(capsys, "ingest", flat, "--labels", german, "--group-from-path", r"(p\d+)_")
    assert (answer["columns"]["group"], answer["groups"]) == (None, 4)


def test_images_without_a_label_are_counted(home, capsys, flat, pictures):
    table = flat.parent / "labels.tsv"  # knows eleven of twelve
    _, answer = ask(capsys, "ingest", flat, "--labels", table)
    assert (answer["unlabelled"], answer["images"]) == (1, 12)
    main(["ingest", str(flat), "--labels", str(table)])
    assert "\n  1 without a label\n" in capsys.readouterr().out
    main(["ingest", str(pictures)])
    assert "without a label" not in capsys.readouterr().out


@pytest.mark.parametrize("named", ["labels.tsv", "tables/labels.tsv"])
def test_the_table_of_labels_may_lie_in_the_folder(home, capsys, flat, monkeypatch, tmp_path, named):
    inside = flat / named
    inside.parent.mkdir(exist_ok=True)
    (flat.parent / "labels.tsv").rename(inside)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, answer = ask(capsys, "ingest", flat, "--labels", named)
    assert (code, answer["classes"], answer["images"]) == (0, ["crack", "sound"], 12)
    assert [each["kind"] for each in answer["problems"]] == ["not-in-table"]  # the table itself was used
    code, answer = ask(capsys, "ingest", flat, "--labels", "other.csv")
    assert code == 2
    assert (
        answer["error"]["message"]
        == f"There is no file other.csv, neither here nor in {flat}: check the spelling."
    )


def test_a_table_found_from_here_comes_first(home, capsys, flat, monkeypatch):
    (flat / "labels.tsv").write_text("image\tfinding\np0_0.png\tother\n")
    monkeypatch.chdir(flat.parent)
    _, answer = ask(capsys, "ingest", flat, "--labels", "labels.tsv")
    assert answer["classes"] == ["crack", "sound"]


@pytest.fixture
def german(tmp_path: Path, flat: Path) -> Path:
    """The same pictures, with a table as a clinic has it: names, patients, a device, and the class last."""
    rows = ["Datei;Patient;Name;Gerät;Seite;Befund"]
    rows += [f"p{n // 3}_{n}.png;P{100 + n // 2};Müller{n};{'AB'[n // 6]};{'lr'[n % 2]};{'krank' if n % 4 < 2 else 'gesund'}"
             for n in range(12)]  # fmt: skip
    path = tmp_path / "klinik.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def test_no_column_that_is_given_becomes_the_class_and_no_person_is_kept(home, capsys, flat, german):
    code, answer = ask(capsys, "ingest", flat, "--labels", german, "--group-column", "Patient", "--domain-column", "Gerät")  # fmt: skip
    assert (code, answer["classes"], answer["domains"]) == (0, ["gesund", "krank"], {"A": 6, "B": 6})
    assert answer["columns"] == {
        "path": "Datei", "label": "Befund", "domain": "Gerät", "group": "Patient", "extra": ["Seite"],
    }  # fmt: skip
    assert answer["groups"] == 6
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert not [word for word in ("Müller", "P10") if word.encode() in kept]
    assert b"Seite" in kept


def test_further_columns_can_be_chosen(home, capsys, flat, german):
    _, answer = ask(capsys, "ingest", flat, "--labels", german, "--extra-column", "Name", "--extra-column", "Seite")  # fmt: skip
    assert answer["columns"]["extra"] == ["Name", "Seite"]
    assert "Müller3" in {row.extra["Name"] for row in Library(home).get(answer["manifest"]).rows}


def test_an_unclear_class_is_asked_for_with_the_candidates(home, capsys, flat):
    rows = [f"p{n // 3}_{n}.png,{'ab'[n % 2]},{'xy'[n // 6]}" for n in range(12)]
    (flat.parent / "odd.csv").write_text("\n".join(["f,one,two", *rows]))
    code, answer = ask(capsys, "ingest", flat, "--labels", flat.parent / "odd.csv")
    assert (code, answer["error"]["kind"]) == (2, "unclear-column")
    assert "one, two could" in answer["error"]["message"]
    assert "--label-column" in answer["error"]["message"]
    assert not Library(home).datasets()
    code, answer = ask(capsys, "ingest", flat, "--labels", flat.parent / "odd.csv", "--domain-column", "one")
    assert (code, answer["classes"]) == (0, ["x", "y"])


def test_a_table_in_the_folder_is_pointed_at_and_used_when_asked(home, capsys, flat):
    table = (flat.parent / "labels.tsv").rename(flat / "labels.tsv")
    assert main(["ingest", str(flat)]) == 0
    hint = capsys.readouterr().err
    assert f"--labels {table}" in hint
    _, answer = ask(capsys, "ingest", flat)
    (problem,) = [each for each in answer["problems"] if each["kind"] == "table"]
    assert f"--labels {table}" in problem["message"]
    _, answer = ask(capsys, "ingest", flat, "--labels", table)
    assert answer["classes"] == ["crack", "sound"]
    assert "table" not in {each["kind"] for each in answer["problems"]}


def test_the_same_under_another_name_is_said_to_be_here(home, capsys, flat):
    _, first = ask(capsys, "ingest", flat, "--name", "one")
    _, again = ask(capsys, "ingest", flat, "--name", "two")
    assert (first["already"], again["already"], again["name"]) == (False, True, "one")
    assert main(["ingest", str(flat), "--name", "two"]) == 0
    assert "already here as one" in capsys.readouterr().out
    (flat / "p0_0.png").unlink()
    _, other = ask(capsys, "ingest", flat, "--name", "one")
    assert (other["already"], other["name"]) == (False, "one (2)")


def test_what_is_added_keeps_to_the_rules_of_the_set(home, capsys, flat, pictures):
    _, first = ask(capsys, "ingest", pictures, "--name", "drawn", "--group-from-path", r"/([a-z]+-[a-z]+)/")
    new = flat.parent / "more" / "clean" / "disc-solid"
    new.mkdir(parents=True)
    for path in flat.glob("p0_*.png"):
        path.rename(new / path.name)
    _, second = ask(capsys, "ingest", flat.parent / "more", "--add-to", first["manifest"])
    assert [each["kind"] for each in second["problems"]] == ["damaged"]  # that of before
    library = Library(home)
    before = {row.image for row in library.get(first["manifest"]).rows}
    added = [row for row in library.get(second["manifest"]).rows if row.image not in before]
    assert {(row.label, row.domain, row.group) for row in added} == {("disc-solid", "clean", "disc-solid")}


@pytest.mark.parametrize(("grouped", "options", "rule"), [
    (True, [], "group"), (False, [], "image"), (True, ["--split-by", "image"], "image"),
])  # fmt: skip
def test_training_splits_as_the_browser_does_and_says_so(
    home, capsys, pictures, monkeypatch, grouped, options, rule
):
    pattern = ["--group-from-path", r"(\d)\.png$"] if grouped else []
    _, answer = ask(capsys, "ingest", pictures, *pattern)
    monkeypatch.setattr(SubprocessExecutor, "start", lambda *_: None)
    code = main(["train", "--data", answer["manifest"], "--detach", "--json", *options])
    told = capsys.readouterr().err
    assert code == 0
    (split,) = (home / "datasets" / answer["manifest"] / "splits").glob("*.json")
    made = Library(home).get_split(answer["manifest"], split.stem)
    assert made.rule == rule
    assert made.receipt.groups_shared == 0 or options
    assert ("Split by" in told) == (not options)
    if grouped and not options:
        assert "Split by group: 10 groups are known" in told


def test_training_says_how_many_images_name_no_group(home, capsys, pictures, monkeypatch):
    _, answer = ask(capsys, "ingest", pictures, "--group-from-path", r"(1)\.png$")
    images, alone = (
        answer["images"],
        answer["images"] - sum(Library(home).get(answer["manifest"]).groups.values()),
    )
    monkeypatch.setattr(SubprocessExecutor, "start", lambda *_: None)
    for options in ([], ["--split-by", "group"]):
        assert main(["train", "--data", answer["manifest"], "--detach", "--json", *options]) == 0
        told = capsys.readouterr().err
        assert f"{alone} of {images} images name no group and are divided one by one" in told
        assert ("Split by image: fewer than half of the images name a group" in told) == (not options)


def test_groups_from_paths_and_a_new_version(home, capsys, flat, pictures):
    _, first = ask(capsys, "ingest", pictures, "--name", "drawn", "--group-from-path", r"([a-z]+)-")
    before = Library(home).get(first["manifest"])
    assert before.groups
    _, second = ask(capsys, "ingest", flat, "--add-to", "drawn")
    after = Library(home).get(second["manifest"])
    assert after.parent == before.id
    assert after.name == "drawn, version 2"
    assert {row.image for row in before.rows} < {row.image for row in after.rows}
    assert Library(home).get(before.id) == before


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["--labels", "nowhere.csv"], "no-such-path"),
        (["--labels", "TABLE", "--label-column", "colour"], "no-column"),
        (["--group-from-path", "("], "bad-pattern"),
        (["--add-to", "nothing"], "no-data"),
        (["--window", "5", "5"], "usage"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(home, capsys, flat, arguments, kind):
    arguments = [flat.parent / "labels.tsv" if each == "TABLE" else each for each in arguments]
    code, answer = ask(capsys, "ingest", flat, *arguments)
    assert (code, answer["error"]["kind"]) == (2, kind)
    assert not Library(home).datasets()


def test_a_window_is_kept_with_the_data_set(home, capsys, tmp_path):
    for n in range(8):
        path = tmp_path / "deep" / "ab"[n % 2] / f"{n}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, np.random.default_rng(n).integers(0, 4096, (30, 30), dtype=np.uint16))
    _, answer = ask(capsys, "ingest", tmp_path / "deep", "--window", "0", "4095", "--frames", "each")
    reading = Library(home).get(answer["manifest"]).reading
    assert (reading.depth, reading.low, reading.high, reading.frames) == ("range", 0, 4095, "each")


def test_the_health_check(home, capsys, flat):
    Image.new("L", (80, 80), 3).save(flat / "black.png")
    _, answer = ask(capsys, "ingest", flat)
    code, found = ask(capsys, "check", answer["manifest"])
    assert code == 0
    (finding,) = found["findings"]
    assert (finding["kind"], finding["files"]) == ("flat", ["black.png"])
    assert finding["remedies"] == ["exclude", "keep"]
    assert [each["kind"] for each in found["problems"]] == ["no-labels"]
