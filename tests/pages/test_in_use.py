"""A run whose decision is in use: wherever it says how often it is right, it says so with the decision too."""

from __future__ import annotations

import json

import pytest

from tests.pages.screens import Study, show, words
from transfer_core.bundle.document import to_markdown
from transfer_core.bundle.story import tell
from transfer_core.cli import main
from transfer_core.evaluation.decision import Wishes
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


def test_every_figure_has_its_interval(study: Study) -> None:
    run = study.ended(wrong=4)
    (table,) = [each.value for each in show(PLACES[2], run=run.id).dataframe if "F1" in each.value]
    after = list(table.columns)[list(table.columns).index("Others spared (specificity)") + 1]
    ends = [each["specificity_ci"] for each in study.lab.tested(run)["per_class"]]
    shown = [f"{100 * low:.1f} to {100 * high:.1f}" if low < high else "-" for low, high in ends]
    assert list(table[after]) == shown
    assert any(each != "-" for each in shown)
