"""Folders by the command line: what is plain is taken and said, what is not is refused with what could be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.pictures import lay_out, png
from tests.test_cli import ask
from transfer_core.cli import main
from transfer_core.data.library import Library


@pytest.fixture
def tissue(tmp_path: Path) -> Path:
    """Class, patient by a bare number, view: which is which, no rule can know."""
    files = {f"{c}/{1000 + 10 * k + p}/{v}/{p}.png": png(100 * k + 10 * p + n)
             for k, c in enumerate(("crack", "sound")) for p in range(4) for n, v in enumerate(("left", "right"))}  # fmt: skip
    return lay_out(tmp_path / "tissue", files)


def test_unclear_folders_are_refused_with_the_likely_answer_and_then_taken(home, capsys, tissue):
    for command in (["ingest", tissue], ["train", "--data", tissue]):
        code, answer = ask(capsys, *command)
        assert (code, answer["error"]["kind"]) == (2, "unclear-levels")
        assert "--levels class,group,out" in answer["error"]["message"]
        assert (
            "Level 1: crack, sound; level 2: 1000, 1001, 1002 and 5 more; level 3"
            in answer["error"]["message"]
        )
    assert not Library(home).datasets()
    code, answer = ask(capsys, "ingest", tissue, "--levels", "class,group,out")
    assert (code, answer["classes"], answer["groups"], answer["domains"]) == (0, ["crack", "sound"], 8, {})
    assert answer["folders"] == "class / group (8, hashed) / nothing / image"
    manifest = Library(home).get(answer["manifest"])
    assert set(manifest.groups) == {
        Library(home).pseudonym(str(1000 + 10 * k + p)) for k in (0, 1) for p in range(4)
    }
    code, answer = ask(capsys, "ingest", tissue, "--levels", "class,group")
    assert (code, answer["error"]["kind"]) == (2, "bad-levels")


def test_what_is_plain_is_told_in_a_line(home, capsys, tmp_path):
    files = {f"{c}/{kind}/{n}a.png": png(10 * k + n + 100 * len(kind))
             for k, c in enumerate(("ok", "nok")) for kind in ("images", "masks") for n in range(4)}  # fmt: skip
    folder = lay_out(tmp_path / "set", files)
    assert main(["ingest", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "folders: class / nothing / image; left out: masks" in said
    code, answer = ask(capsys, "ingest", folder, "--leave-out", "")
    assert (code, answer["images"]) == (0, 16)
    code, answer = ask(capsys, "ingest", folder, "--levels", "class,out", "--leave-out", "masks")
    assert (answer["images"], answer["already"]) == (8, True)
    assert {each["kind"] for each in answer["problems"]} == {"levels", "left-out"}
