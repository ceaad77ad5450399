"""A server of its own for every test, and a real headless Chromium in front of it."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sample_data.shapes import write_shapes
from tests.browser.serving import PATIENCE, Server

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A fresh server: no page was asked for before the test asks. Nothing that it does may leave this machine."""
    home = tmp_path / "home"
    home.mkdir()
    made = Server(home)
    made.start()
    yield made
    made.kill()
    made.end_workers()
    assert made.must_not_be() == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, as the system has it; the tests are left out where there is none.

    A file's own: while it lives, an event loop runs in this process, and other files' tests could not start one.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A tab of its own that remembers every request and every complaint."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.set_default_timeout(PATIENCE * 1000)
    tab.asked, tab.complaints = [], []
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.on("response", lambda answer: tab.complaints.append(answer.url) if answer.status >= 400 else None)
    tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
    yield tab
    context.close()


@pytest.fixture(scope="session")
def shapes_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of 120 drawings in three classes and two domains, as a user would pack it."""
    folder = tmp_path_factory.mktemp("shapes")
    write_shapes(
        folder / "Shapes", 120, seed=3, size=64, classes=("disc-solid", "cross-outline", "star-dotted")
    )
    with zipfile.ZipFile(folder / "Shapes.zip", "w") as archive:
        for path in sorted((folder / "Shapes").rglob("*.png")):
            archive.write(path, path.relative_to(folder / "Shapes"))
    return folder / "Shapes.zip"
