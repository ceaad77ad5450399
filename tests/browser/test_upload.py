"""A large folder through a real browser: a reload, a killed server; nothing is lost, nothing is twice."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sample_data.shapes import draw_shapes
from tests.browser.serving import Server
from tests.pages.screens import bring
from transfer_core.data.library import Library

FILES = 2000
SLICE = 8_000_000  # bytes that the page sends at once
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two thousand small pictures, no two alike, in two classes."""
    root = tmp_path_factory.mktemp("upload") / "cells"
    rng = np.random.default_rng(0)
    for number in range(FILES):
        path = root / ("sound" if number % 2 else "crack") / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(path)
    return root


def arrived(page: Any) -> int:
    """How many files the page says are here."""
    words = page.locator(".words").inner_text()
    return int(re.match(r"([\d,]+) of", words).group(1).replace(",", ""))  # type: ignore[union-attr]


def settle(page: Any) -> None:
    """Wait until the place to choose files is no longer drawn anew: a page that has just been loaded is drawn twice."""
    for _ in range(60):
        place = page.locator(".drop").first.element_handle()
        page.wait_for_timeout(700)
        if place.evaluate("each => each.isConnected"):
            return


def test_two_thousand_files_with_a_reload_in_the_middle(server: Server, page: Any, folder: Path) -> None:
    page.goto(server.address)
    page.locator("input.dir").set_input_files(str(folder))
    page.locator(".words").wait_for()
    while arrived(page) < FILES // 4:
        page.wait_for_timeout(50)
    page.reload()
    note = page.get_by_text("broke off")
    note.wait_for()
    before = int(re.search(r"([\d,]+) of 2,000 files are here", note.inner_text()).group(1).replace(",", ""))  # type: ignore[union-attr]
    assert FILES // 4 <= before < FILES
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)
    page.locator("input.dir").set_input_files(str(folder))
    page.get_by_role("button", name="Continue to the split").wait_for()
    assert len(sent) <= FILES - before  # only the rest
    library = Library(server.home)
    (about,) = library.datasets()
    assert (about.name, about.images, about.problems) == ("cells", FILES, ())
    wanted = {f"cells/{path.relative_to(folder).as_posix()}" for path in folder.rglob("*.png")}
    assert {row.path for row in library.get(about.id).rows} == wanted
    assert not list((server.home / "uploads").glob("*"))


def test_an_upload_outlives_the_server(server: Server, page: Any, folder: Path) -> None:
    page.goto(server.address)
    page.locator("input.dir").set_input_files(str(folder))
    page.locator(".words").wait_for()
    while arrived(page) < 100:
        page.wait_for_timeout(50)
    server.kill()
    server.start()
    page.get_by_role("button", name="Continue to the split").or_(page.get_by_text("broke off")).wait_for()
    if page.get_by_text("broke off").count():
        page.locator("input.dir").set_input_files(str(folder))
        page.get_by_role("button", name="Continue to the split").wait_for()
    assert Library(server.home).datasets()[0].images == FILES


def test_a_large_zip_goes_on_where_it_broke_off(server: Server, page: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "scans.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for number in range(60):
            with packed.open(f"{'ab'[number % 2]}/{number}.bmp", "w") as out:
                Image.fromarray(rng.integers(0, 256, (500, 500, 3), dtype=np.uint8)).save(out, "BMP")
    pieces = -(-path.stat().st_size // SLICE)
    broken: list[str] = []

    def break_off(route: Any) -> None:
        if route.request.headers.get("content-range", "").startswith(f"bytes {2 * SLICE}-"):
            broken.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    page.route("**/upload/*", break_off)
    page.goto(server.address)
    page.locator("input.one").set_input_files(str(path))
    while not broken:
        page.wait_for_timeout(50)
    assert f"{2 * SLICE // 1_000_000}.0 MB of" in page.locator(".words").inner_text()  # it says how far it is
    page.reload()
    page.unroute("**/upload/*")
    page.get_by_text(re.compile(r"scans.zip broke off at \d\d %: choose it again")).wait_for()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)
    page.locator("input.one").set_input_files(str(path))
    page.get_by_role("button", name="Continue to the split").wait_for()
    assert len(sent) == pieces - 2
    assert Library(server.home).datasets()[0].images == 60


def test_whoever_leaves_in_the_middle_is_asked_and_may_forget_it(
    server: Server, page: Any, tmp_path: Path
) -> None:
    """With a data set here already, so that the place to choose is folded away after the reload."""
    bring(server.home, draw_shapes(12, seed=3, size=32, classes=("disc-solid", "cross-outline")))
    path = tmp_path / "scans.zip"
    path.write_bytes(bytes(3 * SLICE))
    second = f"bytes {SLICE}-"
    page.route("**/upload/*", lambda route: route.abort() if route.request.headers.get("content-range", "").startswith(second) else route.continue_())  # fmt: skip
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.goto(server.address)
    page.get_by_text("Bring another data set").click()
    page.locator("input.one").set_input_files(str(path))
    page.get_by_text("8.0 MB of 24.0 MB").wait_for()
    page.reload()
    assert asked == ["beforeunload"]
    page.get_by_text("scans.zip broke off at 33 %: choose it again").wait_for()  # visible, unfolded
    assert list((server.home / "uploads").glob("*/*"))
    settle(page)
    page.get_by_role("button", name="Forget it").click()
    page.get_by_text("broke off").wait_for(state="hidden")
    page.wait_for_timeout(500)
    assert not list((server.home / "uploads").glob("*"))
    page.reload()
    assert asked == ["beforeunload"]  # nothing is sent any more
    page.locator("input.one").wait_for(state="attached")
    page.wait_for_timeout(1000)
    assert page.get_by_text("broke off").count() == 0


def test_of_a_folder_without_files_something_is_said(server: Server, page: Any) -> None:
    """A browser tells the page of it as of a dialog that was closed."""
    page.goto(server.address)
    settle(page)
    page.locator("input.dir").dispatch_event("cancel")
    page.get_by_text("a folder without files counts as none").wait_for()
    page.locator(".drop").evaluate(
        """drop => { const data = new DataTransfer(); data.items.add('text', 'text/plain');
        drop.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })) }"""
    )
    page.get_by_text("There are no files in what was dropped").wait_for()
