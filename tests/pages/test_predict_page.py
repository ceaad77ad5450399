"""The Predict page in every state: asked nothing, at work, over, of many images; and whatever files are called."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pages.ui import asking
from pages.ui.text import escape
from sample_data.shapes import draw_shapes
from tests.pages.screens import Study, button, link_of, marked_up, png, show, widget, words
from transfer_core.evaluation.decision import Wishes
from transfer_core.runs.answers import Answer
from transfer_core.runs.helper import Helper
from transfer_core.runs.prediction_job import Job
from transfer_core.runs.prediction_jobs import PredictionJobs, held
from transfer_core.runs.uploads import make_token, open_upload, receive

CALLS_OUT = "![x](http://evil.example/p.png)<b>.png"
PAGE = "results/predict.py"


def some(n: int, seed: int = 0) -> list[Answer]:
    """Answers of three classes; the first and every fifth after it are unlike the training images."""
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet([0.4] * 3, n)
    return [
        Answer(k, f"cell-{k:04d}.png", tuple(map(float, chances[k])), 0.001 if k % 5 == 0 else 0.5)
        for k in range(n)
    ]


def metrics(at: Any) -> dict[str, str]:
    return {each.label: each.value for each in at.metric}


def test_before_anything_is_asked(study: Study) -> None:
    at = show(PAGE, run=study.ended().id)
    assert "only looked at, not kept" in words(at)
    assert "All as CSV" not in [each.label for each in at.get("download_button")]


def test_a_few_images_stand_one_below_the_other(study: Study) -> None:
    run = study.ended()
    answers = [
        Answer(0, CALLS_OUT, (0.9, 0.06, 0.04), 0.4),
        Answer(1, "dog.png", (0.5, 0.3, 0.2), 0.002),
        Answer(2, CALLS_OUT + "2", problem=f"the image {CALLS_OUT} is damaged", kind="damaged"),
    ]
    job = study.predicted(run, answers)
    at = show(PAGE, run=run.id)
    assert link_of(at, "job") == job.id
    assert "2 images" in words(at)
    assert (metrics(at)["To a person"], metrics(at)["Unlike training images"]) == ("1", "1")
    assert sum("what is said of it means nothing" in each.value for each in at.markdown) == 1
    assert len(at.dataframe) == 1  # of the file that could not be read
    assert "evil.example" in str(at.dataframe[0].value["File"][0])
    assert "](http" not in marked_up(at)
    assert [each.label for each in at.get("download_button")] == ["All as CSV"]


def test_many_images_are_filtered_and_paged(study: Study) -> None:
    run = study.ended()
    answers = some(300)
    study.predicted(run, answers)
    at = show(PAGE, run=run.id)
    assert len(at.dataframe[0].value) == 50
    widget(at.selectbox, "Show").set_value("unlike training images").run()
    assert not at.exception
    assert list(at.dataframe[0].value["File"]) == [each.file for each in answers if each.number % 5 == 0][:50]
    assert "60 of 300 images" in words(at)
    widget(at.text_input, "File name").set_value("CELL-0010").run()
    assert list(at.dataframe[0].value["File"]) == ["cell-0010.png"]
    widget(at.text_input, "File name").set_value("no such file").run()
    assert "0 of 300 images" in words(at)
    widget(at.text_input, "File name").set_value("").run()
    widget(at.selectbox, "Show").set_value("all").run()
    name = study.manifest.classes[1]
    widget(at.selectbox, "Class").set_value(name).run()
    widget(at.selectbox, "Order").set_value("least sure first").run()
    table = at.dataframe[0].value
    assert set(table["Class"]) == {name}
    assert list(table["Probability"]) == sorted(table["Probability"])


def test_ten_thousand_rows_are_fifty_at_a_time(study: Study) -> None:
    run = study.ended()
    study.predicted(run, some(10_000))
    at = show(PAGE, run=run.id)
    assert len(at.dataframe[0].value) == 50
    assert metrics(at)["Unlike training images"] == "2,000"


def test_without_features_sets_are_told_all_the_same(study: Study) -> None:
    run = study.ended()
    answers = [Answer(0, "a.png", (0.4, 0.35, 0.25)), Answer(1, "b.png", (0.9, 0.06, 0.04))]
    Wishes(coverage=0.9999).save(study.store.folder(run.id))
    study.predicted(run, answers, fitted_on=0, silent="This run was made by an older version: run it again.")
    at = show(PAGE, run=run.id)
    assert metrics(at)["Unlike training images"] == "not told"
    assert "run it again" in at.info[0].value.replace("\\", "")
    assert "too few to rule any class out" in words(at)
    assert sum("Possible classes" in each.value for each in at.markdown) == 2


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"state": "waiting", "tried": 0, "done": 0, "total": 0}, "waiting for its turn"),
        ({"state": "running", "done": 0, "total": 0}, "starting, which takes"),
        (
            {"state": "running", "done": 12, "total": 300, "left": 200.0},
            "12 of 300 files looked at, about 3 min left",
        ),
    ],
)
def test_at_work_it_says_how_far_it_is(study: Study, facts: dict[str, Any], said: str) -> None:
    run = study.ended()
    job = study.predicted(run, some(12), **facts)
    with held(PredictionJobs(study.home).place(job.id), 1):
        at = show(PAGE, run=run.id)
        assert said in "".join(each.proto.text for each in at.get("progress"))
        assert not at.get("download_button")
        assert study.started == []
        button(at, "Stop").click().run()
        assert PredictionJobs(study.home).wants_stop(job.id)
    assert not PredictionJobs(study.home).get(job.id).is_over  # whoever works on it ends it


def test_one_that_nobody_works_on_is_begun_again(study: Study) -> None:
    """As after a power cut: whoever opens the page has it gone on with."""
    run = study.ended()
    study.predicted(run, some(12), state="running", total=300)
    show(PAGE, run=run.id)
    assert set(study.started) == {"predictions"}


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"state": "stopped", "total": 40}, "Stopped after 20 of 40 files"),
        ({"state": "failed", "error": "The disk is full: free some space."}, "The disk is full"),
    ],
)
def test_what_was_found_before_the_end_stays(study: Study, facts: dict[str, Any], said: str) -> None:
    run = study.ended()
    study.predicted(run, some(20), **facts)
    at = show(PAGE, run=run.id)
    assert said in "".join(each.value for each in [*at.info, *at.error]).replace("\\", "")
    assert len(at.dataframe[0].value) == 20


def test_under_another_domain_nothing_is_promised(study: Study) -> None:
    study.choices = {"rule": "domain", "test_domain": "clean"}
    run = study.ended()
    study.predicted(run, some(3))
    assert "promises nothing" in show(PAGE, run=run.id).warning[0].value


def test_what_was_decided_for_the_run_is_said_and_followed(study: Study) -> None:
    run = study.ended()
    name = study.manifest.classes[2]
    study.predicted(run, [Answer(0, "a.png", (0.5, 0.2, 0.3), 0.5), Answer(1, "b.png", (0.6, 0.3, 0.1), 0.5)])
    at = show(PAGE, run=run.id)
    assert "follows the thresholds" not in words(at)
    Wishes({name: 0.25}, 0.55).save(study.store.folder(run.id))
    at = show(PAGE, at=at, run=run.id)
    assert "follows the thresholds decided for this run" in words(at)
    # Of the first image it reaches its threshold, and is said with next to no certainty; of the second it does not.
    assert metrics(at)["To a person"] == "1"
    assert [each.value.startswith("#### " + escape(name)) for each in at.markdown if "#### " in each.value][
        1:
    ] == [True, False]


def test_what_is_dropped_is_asked_about(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    run = study.ended()
    started: list[Job] = []
    monkeypatch.setattr(PredictionJobs, "start", lambda _, job, hand: started.append(job))
    image = png(draw_shapes(1, size=32)[0])
    token = make_token(study.home)
    with receive(open_upload(study.home, token), "line/a.png", len(image)) as out:
        out.write(image)
    dropped = [(token, "line", 2, len(image)), (token, "line", 1, len(image))]
    monkeypatch.setattr(asking, "uploader", lambda *_, **__: dropped.pop(0) if dropped else None)
    at = show(PAGE, run=run.id)
    assert "Not all of it arrived" in at.error[0].value
    assert started == []
    at = show(PAGE, at=at, run=run.id)
    assert [(job.run, job.name, list(job.files)) for job in started] == [(run.id, "line", ["line/a.png"])]
    assert link_of(at, "job") == started[0].id


def test_predictions_are_chosen_and_deleted(study: Study) -> None:
    run = study.ended()
    first, second = study.predicted(run, some(2), name="first"), study.predicted(run, some(3), name="second")
    same = study.predicted(run, some(4), name="second")
    at = show(PAGE, run=run.id, job=first.id)
    assert "2 images" in words(at)
    picker = widget(at.selectbox, "Predictions")
    assert len(set(picker.options)) == 3  # two of one name can be told apart
    picker.set_value(second.id).run()
    assert link_of(at, "job") == second.id
    assert "3 images" in words(at)
    assert button(at, "Delete the predictions").disabled
    (sure,) = [each for each in at.checkbox if each.label.startswith("Delete these predictions")]
    sure.check().run()
    button(at, "Delete the predictions").click().run()
    assert {each.id for each in PredictionJobs(study.home).jobs()} == {first.id, same.id}
    assert "Deleted the predictions of second" in at.success[0].value


def test_a_heat_map_is_there_where_the_helper_can_explain(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = study.ended()
    study.predicted(run, some(1))
    monkeypatch.delattr(Helper, "explain_bytes", raising=False)
    assert not show(PAGE, run=run.id).toggle
    asked: list[Any] = []

    class Explained:
        overlay = png(draw_shapes(1, size=32)[0])

    def explain(_: Helper, run: str, name: str, content: bytes, wanted: str) -> Explained:
        asked.append((run, name, wanted))
        return Explained()

    monkeypatch.setattr(Helper, "explain_bytes", explain, raising=False)
    at = show(PAGE, run=run.id)
    at.toggle[0].set_value(True).run()
    assert not at.exception
    assert [each[:2] for each in asked] == [(run.id, "cell-0000.png")]


def test_two_runs_of_one_name_are_told_apart(study: Study) -> None:
    """A picker knows its choices by their words: the link's run must be the one that answers."""
    one, other = (study.ended(name="the same") for _ in range(2))
    for run in (one, other):
        at = show(PAGE, run=run.id)
        assert link_of(at, "run") == run.id
        at.run()
        assert link_of(at, "run") == run.id
