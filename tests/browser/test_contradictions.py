"""Pages contradict neither each other nor what happens meanwhile: in a real browser, on runs that nobody has to train."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sample_data.shapes import draw_shapes
from tests.browser.serving import Server
from tests.browser.test_journey import settled
from tests.pages.screens import Study, bring
from transfer_core.runs.run import Run
from transfer_core.training.rules import twin_spec

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
    gone = study.ended(name="gone", strategy="mcc", seed=1)
    study.store.delete(gone.id)

    # What was deleted is told, and nothing of another stands below.
    for name in ("report", "live", "decide", "predict", "compare"):
        page.goto(f"{server.address}/{name}?run={gone.id}")
        page.get_by_text("it was deleted, or the link is wrong").wait_for()
        page.get_by_role("button", name="See what runs there are").wait_for()
        settled(page)
        assert page.locator("[data-testid=stMain] button").count() == 1
    page.get_by_role("button", name="See what runs there are").click()
    page.get_by_role("heading", name="What have I trained?").wait_for()

    # The tick belongs to the run, not to the row.
    for name in ("other", "newest"):
        study.ended(name=name, strategy="mcc", seed=2)
    table = page.locator(".stDataFrameGlideDataEditor").first
    page.get_by_text("3 runs.").wait_for()  # they came by themselves
    table.click(position={"x": 15, "y": HEAD + 1.5 * ROW})
    field = page.get_by_label("Name", exact=True)
    assert field.input_value() == "other"
    page.get_by_label("Filter").fill("ot")
    page.get_by_label("Filter").press("Enter")
    page.get_by_text("1 run.").wait_for()
    assert field.input_value() == "other"

    # What trains is watched, what waits follows, and a report follows its twin.
    spec = twin_spec(adapted.spec, study.split(**ACROSS))
    assert spec is not None
    study.store.add_run(spec, name="twin", parent=adapted.id)
    twin = study.store.claim(study.store.runs()[0].id)
    assert twin is not None
    with alive(study, twin):
        study.queued("waits", strategy="mcc", seed=3)
        page.goto(server.address)
        page.get_by_text("twin is training.").wait_for()
        page.get_by_role("button", name="Watch it").click()
        page.get_by_role("heading", name="twin").wait_for()
        page.get_by_text("waits, just now").wait_for()
        for each in study.store.runs(states=("queued",)):
            study.store.request_stop(each.id)
        page.get_by_text("waits, just now").wait_for(state="detached")
        page.goto(f"{server.address}/report?run={adapted.id}")
        page.get_by_text("is needed for an answer").wait_for()
    finish(study, twin)
    page.get_by_text("is needed for an answer").wait_for(state="detached")
    page.get_by_role("button", name="See the run without adaptation").wait_for()
