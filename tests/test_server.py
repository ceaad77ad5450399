"""The server: what it sends with every answer, where it listens, and what it must not load."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.testclient import TestClient

import app
from pages.ui.headers import SecurityHeaders

ROOT = Path(__file__).parents[1]
CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """The app's own routes behind the app's own headers; the whole server is in the browser's tests."""
    routes = [Route("/plotly.min.js", app.plotly_js)]
    with TestClient(Starlette(routes=routes, middleware=[Middleware(SecurityHeaders)])) as found:
        yield found


@pytest.mark.parametrize("path", ["/plotly.min.js", "/nothing-here"])
def test_every_answer_has_the_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    policy = dict(each.strip().split(" ", 1) for each in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    # Nothing may name a host, nor a scheme that leads to one; a socket goes back to where the page is from.
    words = {word for sources in policy.values() for word in sources.split()}
    assert words <= {"'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:", "ws:", "wss:"}


def test_plotly_comes_from_this_machine(client: TestClient) -> None:
    answer = client.get("/plotly.min.js")
    assert answer.status_code == 200
    assert "javascript" in answer.headers["content-type"]
    assert "max-age" in answer.headers["cache-control"]
    assert "plotly.js v" in answer.text[:200]


def test_it_listens_to_this_machine_only() -> None:
    assert CONFIG["server"]["address"] == "127.0.0.1"
    assert set(CONFIG["server"]["allowedHosts"]) == {"localhost", "127.0.0.1"}


def test_it_tells_nobody() -> None:
    assert CONFIG["browser"]["gatherUsageStats"] is False
    assert CONFIG["client"]["showErrorDetails"] == "none"
    assert CONFIG["client"]["showErrorLinks"] is False
    assert CONFIG["client"]["toolbarMode"] == "minimal"


def test_no_table_has_a_download_of_its_own() -> None:
    """It would write a name such as =HYPERLINK() as a formula; the app's own CSV does not."""
    assert CONFIG["client"]["disableDataExport"] is True
    from streamlit import config

    assert "client.disableDataExport" in config.get_config_options()  # an unknown name would be ignored


def test_the_icon_is_local() -> None:
    assert (ROOT / "pages" / "static" / "icon.png").read_bytes().startswith(b"\x89PNG")
    assert 'page_icon=str(HERE / "static" / "icon.png")' in (ROOT / "pages" / "main.py").read_text()


@pytest.mark.parametrize("module", ["pages.ui.state", "transfer_core.runs.lab", "app"])
def test_the_server_starts_without_the_heavy_libraries(module: str) -> None:
    heavy = ("torch", "torchvision", "timm", "sklearn")
    code = f"import sys, {module}; print([each for each in {heavy} if each in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize("page", sorted((ROOT / "pages").rglob("*.py")), ids=lambda path: path.stem)
def test_no_page_names_the_heavy_libraries(page: Path) -> None:
    words = page.read_text(encoding="utf-8")
    assert not any(
        f"import {name}" in words or f"from {name}" in words for name in ("torch", "timm", "sklearn")
    )
