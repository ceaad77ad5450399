"""A run whose decision is in use: wherever it says how often it is right, it says so with the decision too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.pages.screens import Study, button, show, words
from tests.pages.test_take_home import pack
from transfer_core.bundle.document import to_markdown
from transfer_core.bundle.story import tell
from transfer_core.cli import main
from transfer_core.errors import UserError
from transfer_core.evaluation.decision import FILE, Wishes, load_wishes
from transfer_core.runs import predictor
from transfer_core.runs.answers import Answer
from transfer_core.runs.run import Run
from transfer_core.runs.take_home import make_subject

PLACES = ("results/predict.py", "results/take_home.py", "results/report.py")


def always(study: Study, **wishes: float) -> tuple[Run, int, int]:
    """A run that calls every image the first class; how many of its unseen images are, of how many."""
    run = study.ended(wrong=3)
    Wishes({study.manifest.classes[0]: 1e-9}, **wishes).save(study.store.folder(run.id))
    first = study.lab.tested(run)["per_class"][0]
    return run, first["support"], study.lab.tested(run)["n"]


@pytest.mark.parametrize("page", PLACES)
def test_a_page_tells_the_same_as_the_model_card(study: Study, page: str) -> None:
    plain = study.ended()
    assert "decision in use" not in words(show(page, run=plain.id))
    run, right, n = always(study)
    said = words(show(page, run=run.id)).replace("\\", "")
    _, _, after = said.partition("With the decision in use")
    assert study.manifest.classes[0] in after.partition("it is right on")[0]
    told = after.partition("it is right on ")[2].partition(").")[0]
    assert told.startswith(f"{100 * right / n:.1f} % of {n} unseen images (95 % interval ")
    card = to_markdown(tell(make_subject(study.lab, run))).replace("\\", "")
    assert told.replace("unseen", "test").replace(" %", "%") in card.replace(" %", "%").replace(" %", "%")
    assert f"{100 * (n - 3) / n:.1f}" in said  # by the likeliest class


def test_what_goes_to_a_person_is_told_beside(study: Study) -> None:
    run, _, n = always(study, refer_below=0.5)
    after = words(show(PLACES[0], run=run.id)).replace("\\", "").partition("With the decision in use")[2]
    gone = int(after.partition(" of them go to a person; of the others")[0].split()[-1])
    decision, report = study.lab.decision(run), study.lab.report(run)
    chances = decision.calibrated(report.probabilities[[part == "test" for part in report.parts]])
    assert 0 < gone == (chances[:, 0] < 0.5).sum() < n


def test_report_on_the_command_line_tells_it_in_both_forms(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    run, right, n = always(study)
    assert main(["report", run.id]) == 0
    (line,) = [each for each in capsys.readouterr().out.splitlines() if "decision in use" in each]
    assert f"accuracy {100 * right / n:.1f} % (" in line
    assert f"n {n};" in line
    main(["report", run.id, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["in_use"]["accuracy"], found["in_use"]["n"]) == (right / n, n)
    assert found["test"]["accuracy"] == (n - 3) / n
    main(["report", study.ended().id, "--json"])
    assert json.loads(capsys.readouterr().out)["in_use"] is None


@pytest.mark.parametrize("page", [*PLACES[1:], "results/explain.py"])
def test_a_damaged_decision_is_said_and_takes_nothing_else_along(study: Study, page: str) -> None:
    run = study.ended(wrong=3, name="mine")
    pack(study, run)
    open_ = {"ranking": True}
    show(page, open_, run=run.id)  # what is computed once is not shown to be
    whole = show(page, open_, run=run.id)
    (study.store.folder(run.id) / FILE).write_bytes(b"{")
    at = show(page, open_, run=run.id)
    said = words(at)
    assert ("choose again on the page Decide" in said) == (page in PLACES)
    gone = [each for each in words(whole).splitlines() if each not in said]
    assert all(each.startswith("**mine**, right on") for each in gone), "now there is more to say"
    for kind in ("button", "download_button", "dataframe", "plotly_chart"):
        assert len(at.get(kind)) == len(whole.get(kind)), kind


def test_no_class_is_said_in_place_of_one_that_thresholds_would_say(study: Study) -> None:
    run = study.ended(wrong=3)
    study.predicted(run, [Answer(0, "a.png", (0.9, 0.06, 0.04))])
    assert "a\\.png" in words(show(PLACES[0], run=run.id))
    (study.store.folder(run.id) / FILE).write_bytes(b"{")
    at = show(PLACES[0], run=run.id)
    assert "choose again on the page Decide" in at.error[0].value
    assert "a\\.png" not in words(at)
    assert button(at, "Delete the predictions")


@pytest.mark.parametrize(
    "held", ["", "[]", '{"thresholds": {"a": NaN}}', '{"refer_below": "0.5"}', '{"coverage": 9}']
)
def test_what_is_no_decision_is_damaged(tmp_path: Path, held: str) -> None:
    (tmp_path / FILE).write_text(held)
    with pytest.raises(UserError, match="choose again on the page Decide"):
        load_wishes(tmp_path)


def test_the_command_line_tells_what_a_damaged_decision_leaves(
    study: Study, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = study.ended(wrong=3)

    def ask(*command: str) -> Any:
        assert main([*command, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    tables = [tmp_path / "whole.csv", tmp_path / "damaged.csv"]
    ask("show", run.id, "--predictions", str(tables[0]))
    whole = ask("report", run.id)
    (study.store.folder(run.id) / FILE).write_bytes(b"{")
    ask("show", run.id, "--predictions", str(tables[1]))
    assert tables[0].read_bytes() == tables[1].read_bytes()
    found = ask("report", run.id)
    assert [name for name in whole if found[name] != whole[name]] == ["sets", "decision", "caveats"]
    assert "choose again on the page Decide" in found["caveats"][0]
    assert main(["report", run.id]) == 0
    assert "choose again on the page Decide" in capsys.readouterr().out
    monkeypatch.setattr(predictor, "Predictor", lambda *_: None)
    assert main(["predict", run.id, "there is none.png"]) == 2
    assert "choose again on the page Decide" in capsys.readouterr().err


def test_every_figure_has_its_interval(study: Study) -> None:
    run = study.ended(wrong=4)
    (table,) = [each.value for each in show(PLACES[2], run=run.id).dataframe if "F1" in each.value]
    after = list(table.columns)[list(table.columns).index("Others spared (specificity)") + 1]
    ends = [each["specificity_ci"] for each in study.lab.tested(run)["per_class"]]
    shown = [f"{100 * low:.1f} to {100 * high:.1f}" if low < high else "-" for low, high in ends]
    assert list(table[after]) == shown
    assert any(each != "-" for each in shown)
