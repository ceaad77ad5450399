"""Pages contradict neither each other nor what happens meanwhile: in a real browser, on runs that nobody has to train."""

from __future__ import annotations

import csv
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sample_data.shapes import draw_shapes
from tests.browser.serving import Server
from tests.browser.test_journey import complaints, loaded, press, settled, until
from tests.pages.screens import Study, bring
from transfer_core.data.split import make_split
from transfer_core.evaluation.words import percent
from transfer_core.runs.run import Run
from transfer_core.training.rules import make_spec, twin_spec

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

ACROSS = {"rule": "transfer", "train_domain": "clean", "test_domain": "photographed"}
HEAD, ROW = 35, 35  # pixels of a table


@pytest.fixture
def study(server: Server) -> Study:
    """Drawings of two classes and two domains, each image a group of its own; new runs go from one domain to the other."""
    bring(server.home, draw_shapes(120, seed=3, size=32, classes=("disc-solid", "star-dotted"), groups=60))
    return Study(server.home, ACROSS)


@contextmanager
def alive(study: Study, run: Run) -> Iterator[None]:
    """Keep a run's heart beating, as its worker would."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(1.0):
            study.store.beat(run.id, run.attempt)

    heart = threading.Thread(target=beat)
    heart.start()
    try:
        yield
    finally:
        ended.set()
        heart.join()


def finish(study: Study, run: Run) -> None:
    """End a run that trains, with a report."""
    study.store.finish(run.id, run.attempt, "done", best=0.75, result=study.report(run, wrong=3))


def test_every_page_says_the_same_and_follows(server: Server, study: Study, page: Any) -> None:
    adapted = study.ended(name="adapted", strategy="mcc", wrong=5)
    what_was_deleted_is_told_and_nothing_of_another_shown(server, study, page)
    a_tick_belongs_to_the_run_not_to_the_row(study, page)
    what_trains_is_watched_and_a_report_follows_its_twin(server, study, page, adapted)
    a_run_is_as_good_on_every_page_as_its_table_says(server, study, page, adapted)
    what_was_labelled_by_hand_is_measured_on_every_page(server, study, page)
    a_report_and_a_comparison_name_the_same_run(server, study, page, adapted)
    stopping_asks_what_becomes_of_the_twin(server, study, page)
    a_race_uses_again_what_is_on_its_way(server, study, page)
    assert complaints(page) == []


def what_was_deleted_is_told_and_nothing_of_another_shown(server: Server, study: Study, page: Any) -> None:
    gone = study.ended(name="gone", strategy="mcc", seed=1)
    study.store.delete(gone.id)
    for name in ("report", "live", "decide", "predict", "compare"):
        page.goto(f"{server.address}/{name}?run={gone.id}")
        page.get_by_text("it was deleted, or the link is wrong").wait_for()
        page.get_by_role("button", name="See what runs there are").wait_for()
        settled(page)
        assert page.locator("[data-testid=stMain] button").count() == 1
    page.get_by_role("button", name="See what runs there are").click()
    page.get_by_role("heading", name="What have I trained?").wait_for()


def a_tick_belongs_to_the_run_not_to_the_row(study: Study, page: Any) -> None:
    for name in ("other", "newest"):
        study.ended(name=name, strategy="coral", seed=2)
    page.get_by_text("3 runs.").wait_for()  # they came by themselves
    table = page.locator(".stDataFrameGlideDataEditor").first
    table.click(position={"x": 15, "y": HEAD + 1.5 * ROW})
    field = page.get_by_label("Name", exact=True)
    until(lambda: field.input_value() == "other", "another run stands under the form")
    page.get_by_label("Filter").fill("ot")
    page.get_by_label("Filter").press("Enter")
    page.get_by_text("1 run.").wait_for()
    until(lambda: field.input_value() == "other", "another run stands under the form")


def what_trains_is_watched_and_a_report_follows_its_twin(
    server: Server, study: Study, page: Any, adapted: Run
) -> None:
    spec = twin_spec(adapted.spec, study.split(**ACROSS))
    assert spec is not None
    twin = study.store.claim(study.store.add_run(spec, name="twin", parent=adapted.id).id)
    assert twin is not None
    with alive(study, twin):
        waits = study.queued("waits", strategy="mcc", seed=3)
        page.goto(server.address)
        page.get_by_text("twin is training.").wait_for()
        page.get_by_role("button", name="Watch it").click()
        page.get_by_role("heading", name="twin").wait_for()
        page.get_by_text("waits, just now").wait_for()
        study.store.request_stop(waits.id)
        page.get_by_text("waits, just now").wait_for(state="detached")
        page.goto(f"{server.address}/report?run={adapted.id}")
        page.get_by_text("is needed for an answer").wait_for()
    finish(study, twin)
    page.get_by_text("is needed for an answer").wait_for(state="detached")
    page.get_by_role("button", name="See the run without adaptation").wait_for()


def a_run_is_as_good_on_every_page_as_its_table_says(
    server: Server, study: Study, page: Any, run: Run
) -> None:
    settled(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Predictions of every image (CSV)").click()
    with Path(download.value.path()).open(encoding="utf-8", newline="") as file:
        table = {row["file"]: row for row in csv.DictReader(file)}
    classes = study.manifest.classes
    unseen = [row for row in table.values() if row["split"] == "test"]
    right = [row for row in unseen if row["label"] == max(classes, key=lambda name: float(row[name]))]
    figure = percent(len(right) / len(unseen))
    page.get_by_text(f"Right on {figure} of {len(unseen)} unseen images").wait_for()
    captions = page.locator(
        "[class*=st-key-wrap-gallery-worst] [data-testid=stCaptionContainer]"
    ).all_inner_texts()
    told = [re.fullmatch(r"is (\S+), said (\S+) \((.+ %)\)\s+(\S+)", each) for each in captions]
    assert len(told) == len(unseen) - len(right)
    for each in told:
        assert each is not None, captions
        label, said, sure, file = each.groups()
        (row,) = [row for name, row in table.items() if name.endswith(file)]
        assert (row["label"], percent(float(row[said]), 0)) == (label, sure)
    for name in ("", "predict", "take-home"):
        page.goto(f"{server.address}/{name}?run={run.id}")
        page.get_by_text(figure).first.wait_for()


def what_was_labelled_by_hand_is_measured_on_every_page(server: Server, study: Study, page: Any) -> None:
    old = study.manifest
    rows = tuple(replace(row, label=None) if row.domain == ACROSS["test_domain"] else row for row in old.rows)
    bare = study.library.add(replace(old, rows=rows))
    split = study.library.add_split(make_split(bare, **ACROSS))
    spec = make_spec(bare, split, {"strategy": "mcc", "device": "cpu"})
    run = study.store.claim(study.store.add_run(spec, name="by hand").id)
    assert run is not None
    finish(study, run)
    page.goto(f"{server.address}/report?run={run.id}")
    page.get_by_text("Cannot be measured").wait_for()
    for image in study.lab.spot_check(run).images:
        study.library.answer(bare.id, image, old.by_image[image].label)
    figure = percent(study.lab.tested(study.store.get(run.id))["accuracy"])
    for name in ("report", "", "predict", "take-home"):
        page.goto(f"{server.address}/{name}?run={run.id}")
        page.get_by_text(figure).first.wait_for()
        settled(page)
        assert page.get_by_text("not measurable").count() == 0


def a_report_and_a_comparison_name_the_same_run(
    server: Server, study: Study, page: Any, adapted: Run
) -> None:
    page.goto(f"{server.address}/report?run={adapted.id}")
    page.get_by_text("to be safe, use the run without adaptation").wait_for()
    twin = study.lab.twin(adapted)
    assert twin is not None
    page.goto(f"{server.address}/compare?race={adapted.id},{twin.id}")
    page.get_by_role("button", name="Take home: twin").wait_for()
    settled(page)
    assert page.get_by_role("button", name="Take home: adapted").count() == 0


def stopping_asks_what_becomes_of_the_twin(server: Server, study: Study, page: Any) -> None:
    run = study.running(name="adapts", strategy="mcc", seed=5)
    spec = twin_spec(run.spec, study.lab.library.get_split(run.manifest, run.spec.split))
    assert spec is not None
    twin = study.store.add_run(spec, name="its twin", parent=run.id)
    with alive(study, run):
        page.goto(f"{server.address}/live?run={run.id}")
        page.get_by_role("button", name="Stop and keep the best").click()
        page.get_by_role("button", name="Stop this run only").click()
        page.get_by_text("the best epoch is kept").wait_for()
        assert study.store.get(run.id).state == "stopping"
        assert study.store.get(twin.id).state == "queued"
        study.store.request_stop(twin.id)  # or the server would train it
    study.store.finish(run.id, run.attempt, "stopped")


def choose_several(page: Any) -> None:
    """On New run, once its pictures are loaded: those of a page that is left before are asked for in vain."""
    page.get_by_text("Compare several strategies").wait_for()
    settled(page)
    loaded(page)
    page.get_by_text("Compare several strategies").click()


def a_race_uses_again_what_is_on_its_way(server: Server, study: Study, page: Any) -> None:
    first = study.running(name="keeps others waiting", seed=6)
    form = f"{server.address}/new-run?data={first.manifest}&split={first.spec.split}"
    with alive(study, first):
        page.goto(form)
        choose_several(page)
        press(page, "and watch the race")
        page.wait_for_url("**/compare?**race=**")
        raced, runs = parse_qs(urlsplit(page.url).query)["race"], study.store.runs()
        settled(page)
        loaded(page)
        page.goto(form)
        choose_several(page)
        page.get_by_text("on their way already").wait_for()
        press(page, "Show the race")
        page.wait_for_url("**/compare?**race=**")
        assert parse_qs(urlsplit(page.url).query)["race"] == raced
        assert [run.id for run in study.store.runs()] == [run.id for run in runs]
        for run in raced[0].split(","):
            study.store.request_stop(run)
    study.store.finish(first.id, first.attempt, "stopped")
