"""Rows of a prediction job and what follows from them: the decision, the table."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from tests.runs.sites import Site
from transfer_core.evaluation.decision import Wishes
from transfer_core.runs.answers import Answer, decide, write_answers


def rows_of(site: Site, chances: list[tuple[float, ...]], p_values: list[float | None]) -> list[Answer]:
    return [Answer(n, f"{n}.png", p, seen) for n, (p, seen) in enumerate(zip(chances, p_values, strict=True))]


def test_what_was_decided_for_the_run_decides(site: Site) -> None:
    answers = rows_of(site, [(0.6, 0.3, 0.1), (0.05, 0.9, 0.05), (0.34, 0.33, 0.33)], [0.5, 0.001, 0.5])
    classes = site.lab.report(site.run).manifest.classes
    plain = decide(answers, site.lab.decision(site.run), 400)
    assert plain.unknown is not None
    assert plain.unknown.tolist() == plain.refer.tolist() == [False, True, False]
    assert plain.said.tolist() == [0, 1, 0]
    Wishes({classes[2]: 0.05}, 0.99, 0.5).save(site.lab.store.folder(site.run.id))
    decision = site.lab.decision(site.run)
    wished = decide(answers, decision, 0)
    assert wished.unknown is None
    for row, answer in enumerate(answers):
        calibrated = decision.calibrated(np.array([answer.probabilities]))[0]
        said = 2 if calibrated[2] >= 0.05 else int(calibrated[:2].argmax())
        assert wished.said[row] == said
        assert wished.probability[row] == pytest.approx(calibrated[said])
        assert bool(wished.refer[row]) == (calibrated[said] < 0.99)
    assert wished.sets.sum(1).min() >= 1


def test_rows_survive_json_and_the_table_is_safe(site: Site) -> None:
    answers = [
        *rows_of(site, [(0.6, 0.3, 0.1)], [0.001]),
        Answer(1, "=cmd()|calc.png", (0.1, 0.2, 0.7), 0.4),
        Answer(2, "+broken.png", problem="-the image is damaged", kind="damaged"),
    ]
    again = [Answer.from_json(json.loads(json.dumps(each.to_json()))) for each in answers]
    assert again == answers
    out = io.StringIO()
    verdicts = decide(answers, site.lab.decision(site.run), 400)
    write_answers(out, answers, verdicts)
    table = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert [row["file"] for row in table] == ["0.png", "'=cmd()|calc.png", "'+broken.png"]
    assert [row["unknown"] for row in table] == ["yes", "no", ""]
    assert table[2]["problem"] == "'-the image is damaged"
    for row, verdict in zip(table[:2], range(2), strict=True):
        shares = [float(row[name]) for name in verdicts.classes]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
        assert float(row["probability"]) == pytest.approx(shares[int(verdicts.said[verdict])], abs=1e-6)
        assert row["set"].split(" | ") == verdicts.set_of(verdict)


def test_no_image_is_no_trouble(site: Site) -> None:
    verdicts = decide([Answer(0, "x.txt", problem="not an image")], site.lab.decision(site.run), 400)
    assert len(verdicts.said) == 0
    job = site.work(site.send({"x.txt": b"no"}))
    assert (job.state, job.problems) == ("done", 1)
