"""Keeping house from a terminal: what is deleted, who is asked, and what a hostile name can do there."""

from __future__ import annotations

import io
import json
import sys

import pytest

from sample_data.shapes import draw_shapes
from tests.pages.screens import Study, bring
from transfer_core.cli import main
from transfer_core.terminal import shown, tell, tell_json


class Typed(io.StringIO):
    """What somebody types, in a terminal or in a pipe."""

    def __init__(self, text: str, terminal: bool) -> None:
        super().__init__(text)
        self.isatty = lambda: terminal  # type: ignore[method-assign]


@pytest.fixture
def study(home) -> Study:
    bring(home, draw_shapes(24, seed=9, size=32, classes=("disc-solid", "star-dotted")), "Shapes")
    return Study(home)


@pytest.fixture
def delete(study, capsys, monkeypatch):
    """Return what deletes, with an answer typed in a terminal or piped: (exit code, what was said)."""

    def run(ref: str, typed: str, terminal: bool, *options: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", Typed(typed, terminal))
        monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
        code = main(["delete", ref, *options])
        return code, "".join(capsys.readouterr())

    return run


def test_nothing_goes_without_a_yes_and_what_would_go_is_named(study, delete):
    run = study.ended(name="mine", result=False)
    for typed, terminal in [("n\n", True), ("", True), ("y\n", False), ("n\n", False), ("", False)]:
        code, said = delete("Shapes", typed, terminal)
        assert (code, "data set Shapes and its runs mine: 1 run, 24 images, " in said) == (2, True)
        code, said = delete(run.id, typed, terminal)
        assert (code, "run mine: 1 run, " in said) == (2, True)
    assert [each.id for each in study.store.runs()] == [run.id]
    assert len(study.images()) == 24


@pytest.mark.parametrize(("typed", "options"), [("y\n", []), ("", ["--yes"])])
def test_what_was_agreed_to_goes(study, delete, typed, options):
    first, _ = study.ended(name="mine", result=False), study.ended(name="other", result=False)
    assert delete(first.id, typed, not options, *options)[0] == 0
    assert [each.name for each in study.store.runs()] == ["other"]
    code, said = delete("Shapes", typed, not options, *options)
    assert (code, "Deleted data set Shapes: 1 run, 24 images, " in said) == (0, True)
    assert (study.images(), study.store.runs(), study.library.datasets()) == (set(), [], [])


def test_images_of_another_data_set_are_not_counted_as_gone(study, capsys):
    bring(study.home, [*draw_shapes(24, seed=9, size=32, classes=("disc-solid", "star-dotted"))][:20], "Part")
    before = study.images()
    assert main(["delete", "Shapes", "--yes", "--json"]) == 0
    receipt = json.loads(capsys.readouterr().out)
    assert receipt["images"] == len(before - study.images()) == 4
    assert receipt["shared"] == 20


def test_what_a_file_holds_stays_where_there_is_no_report_to_write(study, capsys, tmp_path):
    run = study.queued()
    kept = tmp_path / "kept.csv"
    kept.write_text("mine")
    assert main(["show", run.id, "--predictions", str(kept)]) == 2
    assert kept.read_text() == "mine"


HOSTILE = "a\x1b]0;x\x07\x9b31m\r\nb\u202e\udcff" + "c" * 100_000


def test_a_terminal_has_nothing_to_obey(study, capsys):
    assert shown(HOSTILE).isprintable()
    assert len(shown(HOSTILE)) < 250
    assert shown("Größe 3 · 子") == "Größe 3 · 子"
    tell(f"one {HOSTILE}\ntwo")
    assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())
    tell_json(json.dumps({"name": HOSTILE}, ensure_ascii=False))
    out = capsys.readouterr().out
    assert out.rstrip("\n").isprintable()
    assert json.loads(out) == {"name": HOSTILE}
    run = study.ended(name=HOSTILE[:-100_000].replace("\udcff", ""), result=False)
    for command in (["runs"], ["show", run.id], ["delete", run.id], ["show", HOSTILE.replace("\udcff", "")]):
        main(command)
        out, err = capsys.readouterr()
        assert all(line.isprintable() for line in (out + err).split("\n"))
        assert len(out + err) < 5000
