"""The whole way through a real browser, and what only a browser shows."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sample_data.shapes import draw_shapes
from tests.browser.serving import PATIENCE, Server
from tests.pages.screens import Study, bring, named
from transfer_core.training.events import EpochEnded

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

THREE = ("disc-solid", "cross-outline", "star-dotted")
PICTURE = "[data-testid=stImage] img"
PAGES = ("", "data", "split", "new-run", "live", "runs", "report", "compare", "predict", "take-home")


def settled(page: Any) -> None:
    """Wait until the page has run to its end."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")


def press(page: Any, name: str) -> None:
    """Press a button once the page stands still and its pictures, if any, are loaded."""
    settled(page)
    loaded(page)
    page.get_by_role("button", name=name).first.click()


def until(true: Callable[[], bool], what: str) -> None:
    """Wait for something outside the page."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.2)


def hosts(page: Any) -> set[str | None]:
    """Every host that the page asked for anything."""
    asked = [urlsplit(url) for url in page.asked]
    return {each.hostname for each in asked if each.scheme in ("http", "https", "ws", "wss")}


def complaints(page: Any) -> list[str]:
    """What went wrong in the page. Streamlit looks for its own base address on every deep link."""
    return [
        each for each in page.complaints if not each.endswith(("/_stcore/health", "/_stcore/host-config"))
    ]


def loaded(page: Any) -> None:
    """Wait until all pictures are loaded: those of a page that is left before would be asked for in vain."""
    done = "all => all.every(image => image.naturalWidth > 0)"
    until(lambda: page.locator(PICTURE).evaluate_all(done), "some pictures did not load")


def pictures_are_there(page: Any) -> None:
    """Wait until there are pictures, and all are loaded."""
    settled(page)
    page.locator(PICTURE).first.wait_for()
    loaded(page)


# Notes how many bars the Live page shows, and how far each is, whenever anything in it changes; a reload keeps the notes.
NOTE_BARS = """
new MutationObserver(() => {
    if (!location.pathname.endsWith("/live")) return
    const bars = [...document.querySelectorAll("[data-testid=stProgress] [role=progressbar]")]
    const noted = JSON.parse(sessionStorage.bars || "[]")
    const now = bars.map(bar => Number(bar.getAttribute("aria-valuenow")))
    if (JSON.stringify(noted.at(-1)) !== JSON.stringify(now)) sessionStorage.bars = JSON.stringify([...noted, now])
}).observe(document, {subtree: true, childList: true, attributes: true})
"""


def test_from_a_zip_to_a_prediction(server: Server, page: Any, shapes_zip: Path, tmp_path: Path) -> None:
    page.add_init_script(NOTE_BARS)
    page.goto(server.address)
    settled(page)
    page.set_input_files("input.one", str(shapes_zip))
    page.get_by_role("heading", name="Shapes").wait_for()
    press(page, "Continue to the split")
    page.get_by_text("Receipt").wait_for()
    press(page, "Continue to training")
    page.get_by_text("Summary").wait_for()
    pictures_are_there(page)
    start = page.get_by_role("button", name="Start training")
    start.wait_for()
    # As fast as a nervous hand: all of them while the first is still being handled.
    start.evaluate("button => { for (let n = 0; n < 5; n++) setTimeout(() => button.click(), 60 * n) }")
    page.wait_for_url("**/live?**run=**")
    until(lambda: bool(server.store.runs()), "no run was made")
    (run,) = server.store.runs()
    assert run.id in page.url

    until(lambda: server.store.get(run.id).state == "running", "the run did not begin")
    page.locator("[data-testid=stProgress]").first.wait_for()
    page.reload()
    page.get_by_role("heading", name=run.name.partition(",")[0]).wait_for()
    assert run.id in page.url
    press(page, "See the report")
    page.get_by_text("unseen images").first.wait_for()
    bars = [shown for shown in page.evaluate("JSON.parse(sessionStorage.bars)") if shown]
    assert all(len(shown) == 1 for shown in bars), "one bar for the whole run"
    assert bars == sorted(bars), "it never goes back"
    assert len({shown for (shown,) in bars}) > 2, "it moves"
    assert server.store.get(run.id).state == "done"
    assert len(server.store.runs()) == 1

    settled(page)
    loaded(page)  # some are behind a tab
    cell = page.locator("[class*='st-key-cell-'] button:enabled").first
    cell.click()
    page.get_by_text("Back to the worst mistakes").first.wait_for()
    pictures_are_there(page)

    press(page, "Predict new images")
    page.get_by_text("Drop images, a folder or a zip here").wait_for()
    image = tmp_path / "unseen.png"
    draw_shapes(1, seed=99, classes=THREE)[0].image.save(image)
    page.set_input_files("input.many", str(image))
    page.get_by_role("button", name="All as CSV").wait_for()
    pictures_are_there(page)
    shown = " ".join(page.locator("[data-testid=stHtml]").all_inner_texts())
    assert all(name in shown for name in THREE), shown
    assert len(re.findall(r"\d\s%", shown)) == 6  # of each class in short, and of the one image
    several = tmp_path / "line 3"
    several.mkdir()
    for number, each in enumerate(draw_shapes(30, seed=98, classes=THREE)):
        each.image.save(several / f"{number:02d}.png")
    (several / "torn.png").write_bytes(image.read_bytes()[:100])
    page.set_input_files("input.dir", str(several))
    page.get_by_text("30 of 30 images").wait_for()
    page.get_by_text("1 file could not be read").wait_for()
    pictures_are_there(page)
    page.reload()
    page.get_by_text("30 of 30 images").wait_for()
    pictures_are_there(page)
    assert not list((server.home / "uploads").glob("*"))
    assert not list((server.home / "predictions").glob("*/upload"))
    assert server.open_to_others() == []
    assert hosts(page) == {"localhost"}
    assert complaints(page) == []


@pytest.mark.skipif(find_spec("elpv_dataset") is None, reason="the sample images are not installed")
def test_one_click_brings_the_solar_cells(server: Server, page: Any) -> None:
    page.goto(server.address)
    press(page, "Try it on solar cells")
    page.get_by_role("heading", name="Solar cells").wait_for()
    page.locator("[data-testid=stMetricValue]").get_by_text("2,624").wait_for()
    settled(page)
    page.locator("[data-testid=stImage] img >> visible=true").first.wait_for()
    assert hosts(page) == {"localhost"}


class Trainer:
    """Tells of epochs as a worker does, without training."""

    def __init__(self, home: Path) -> None:
        study = Study(home)
        bring(home, draw_shapes(60, seed=3, size=32, classes=THREE))
        self.run, self._store, self.epoch = study.running(epochs=3), study.store, 3

    def go_on(self) -> None:
        """One more epoch."""
        self.epoch += 1
        figures = {"loss": 1.0 / self.epoch, "accuracy": 1 - 0.5 / self.epoch}
        event = EpochEnded(self.epoch, 90, figures, figures, 1e-3, 2.0 * self.epoch, best=True)
        self._store.add_events(self.run.id, self.run.attempt, [event])
        self._store.beat(self.run.id, self.run.attempt)


CURVES = "document.querySelector('.curves')"


def test_a_cold_link_then_zoom_and_legend_stay(server: Server, page: Any) -> None:
    trainer = Trainer(server.home)
    # The first request this server ever sees.
    page.goto(f"{server.address}/live?run={trainer.run.id}")
    page.locator(".curves .nsewdrag").first.wait_for()
    assert page.locator("[data-testid=stDialog]").count() == 0
    assert page.title() == "Transfer Lab"
    sidebar = page.locator("[data-testid=stSidebar]").inner_text()
    assert all(word in sidebar for word in ("Data", "Split", "New run", "Live", "Report", "Take home"))
    trainer.go_on()
    page.wait_for_function(f"{CURVES}.data[0].x.length === 4")

    box = page.locator(".curves .nsewdrag").first.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.2 * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], y, steps=5)
    page.mouse.up()
    page.wait_for_function(f"{CURVES}.layout.xaxis.autorange === false")
    page.locator(".curves .legendtoggle").first.click()
    page.wait_for_function(f"{CURVES}._fullData[0].visible === 'legendonly'")
    zoomed = page.evaluate(f"{CURVES}.layout.xaxis.range")
    for _ in range(3):
        trainer.go_on()
        page.wait_for_function(f"{CURVES}.data[0].x.length === {trainer.epoch}")
        assert page.evaluate(f"{CURVES}._fullLayout.xaxis.range") == pytest.approx(zoomed)
        assert page.evaluate(f"{CURVES}._fullData[0].visible") == "legendonly"
    assert page.evaluate(f"{CURVES}._fullData[1].visible") is True
    assert complaints(page) == []


def test_a_page_that_broke_in_the_browser_is_opened_again(server: Server, page: Any) -> None:
    page.goto(f"{server.address}/runs")
    page.locator("h1").wait_for()
    page.wait_for_function("window.__revive")
    page.evaluate("document.getElementById('root').replaceChildren()")
    page.locator("h1").wait_for()
    assert page.url.endswith("/runs")


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_a_run_and_its_tab_outlive_the_server(server: Server, page: Any) -> None:
    bring(server.home, draw_shapes(60, seed=3, size=48, classes=THREE))
    run = Study(server.home).queued("survivor", strategy="fine_tuning", cut=8, epochs=4000, patience=0)
    page.goto(f"{server.address}/live?run={run.id}")
    until(lambda: server.store.get(run.id).beat > 1, "the worker has no heart")
    # A browser that asked for a part of the page's own program when the server went never asks for it again.
    page.wait_for_function(f"{CURVES} && {CURVES}.data && {CURVES}.data[0].x.length > 0")

    server.kill()
    before, drawn = server.store.get(run.id).beat, page.evaluate(f"{CURVES}.data[0].x.length")
    until(lambda: server.store.get(run.id).beat > before + 2, "the worker died with the server")
    assert server.store.get(run.id).attempt == 1
    server.start()
    page.wait_for_function(f"{CURVES}.data[0].x.length > {drawn}")
    assert server.store.get(run.id).attempt == 1

    press(page, "Stop and keep the best")
    page.get_by_role("button", name="See the report").wait_for()
    assert server.store.get(run.id).state == "stopped"


def test_a_phone_and_hostile_names(server: Server, page: Any) -> None:
    bare = "www.evil.example a@evil.example http://evil.example :material/home: -> x"  # markdown makes these live by itself
    names = [
        "![x](http://evil.example/p.png)",
        f"<b>OK</b><img src=http://evil.example/q.png> {bare}",
        "w" * 70,
    ]
    bring(server.home, named(draw_shapes(60, seed=3, size=32, classes=THREE), names), names[0])
    study = Study(server.home)
    run, _ = study.ended(name=names[1]), study.ended(name=names[0])
    page.set_viewport_size({"width": 390, "height": 844})
    shown = ""
    for path in PAGES:
        page.goto(f"{server.address}/{path}?data={run.manifest}&split={run.spec.split}&run={run.id}")
        page.locator("h1").first.wait_for()
        settled(page)
        for part in ("document.documentElement", "document.querySelector('[data-testid=stMain]')"):
            over = page.evaluate(f"{part}.scrollWidth - {part}.clientWidth")
            assert over <= 0, f"/{path} is {over} pixels too wide"
        assert page.locator("[data-testid=stException]").count() == 0
        assert page.locator("a[href*=evil]:not([href^='#'])").count() == 0
        shown += page.locator("[data-testid=stMain]").inner_text().replace("\u2060", "")
    assert names[1] in shown
    assert hosts(page) == {"localhost"}
    assert complaints(page) == []
