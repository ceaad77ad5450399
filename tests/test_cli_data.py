"""Data from the command line: tables, groups, versions, windows, and the health check."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.test_cli import ask, pictures
from transfer_core.data.library import Library

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
    assert manifest.groups == {"P0": 4, "P1": 4, "P2": 3}
    assert {row.extra.get("age") for row in manifest.rows} == {str(40 + n) for n in range(11)} | {None}


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
