"""`predict` for people: which decision is in use stands before the first answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sample_data.shapes import draw_shapes
from tests.pages.screens import png
from tests.runs.sites import make_site
from tests.support import Lab as Bench
from transfer_core.cli import main
from transfer_core.evaluation.decision import Wishes


def test_the_decision_in_use_is_said_before_the_first_answer(
    lab: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = make_site(lab, monkeypatch).run
    image = tmp_path / "one.png"
    image.write_bytes(png(draw_shapes(1, size=40)[0]))
    assert main(["predict", run.id, str(image)]) == 0
    (first, *_) = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{image.name}: ")
    name = lab.manifest.classes[1]
    Wishes({name: 0.0125}, 0.6).save(lab.home / "runs" / run.id)
    main(["predict", run.id, str(image)])
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == f"Decision in use: {name} from 1.25 %, to a person below 60 %."
    assert second.startswith(f"{image.name}: {name} (")
    main(["predict", run.id, str(image), "--json"])
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["decision"]["thresholds"] == {name: 0.0125}
