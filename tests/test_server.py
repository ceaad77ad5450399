"""The server: what it sends with every answer, where it listens, and what it must not load."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from streamlit.config import get_option, set_option

import app
from pages.ui.gate import LOOPBACK

OWN = "http://localhost:8501"
ROOT = Path(__file__).parents[1]
CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """The app's own routes, and a socket, behind what stands before them; the whole server is in the browser's tests."""

    async def answer(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    behind = Starlette(routes=[*app.ROUTES, WebSocketRoute("/socket", answer)], middleware=app.MIDDLEWARE)
    with TestClient(behind, base_url=OWN) as found:
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


FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},  # another port of this machine
    {"Origin": "http://localhost"},
    {"Origin": "http://127.0.0.1:8501"},  # another name, so another page
    {"Origin": f"{OWN}.evil.example"},
    {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    {"Host": "evil.example:8501", "Origin": "http://evil.example:8501", "Sec-Fetch-Site": "same-origin"},
    {"Host": "evil.example"},
    {"Host": "localhost:8501@evil.example"},
    {"Host": "evil.example#localhost"},
    {"Host": ""},
]
FRIENDLY = [
    {},
    {"Origin": OWN},
    {"Origin": OWN, "Sec-Fetch-Site": "same-site"},  # a browser may count a socket's scheme as another site
    {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    {"Host": "127.0.0.1:9000", "Origin": "http://127.0.0.1:9000"},  # through a tunnel, say
    {"Host": "[::1]:8501", "Origin": "http://[::1]:8501"},
    {"Host": "LOCALHOST.:8501"},
]
PROXY = {"Host": "lab.example", "Origin": "https://lab.example"}


def statuses(client: TestClient, headers: dict[str, str]) -> tuple[int, int]:
    """How the server answers to a request and to a socket that come with these headers."""
    answer = client.get("/plotly.min.js", headers=headers)
    if answer.status_code == 403:
        assert "Open it under its own address" in answer.text
        assert answer.headers["x-frame-options"] == "DENY"
    try:
        with client.websocket_connect(f"ws{OWN[4:]}/socket", headers=headers):
            return answer.status_code, 101
    except WebSocketDisconnect as refused:
        return answer.status_code, 403 if refused.code == 1008 else refused.code


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_no_page_from_elsewhere_may_ask(client: TestClient, headers: dict[str, str]) -> None:
    assert statuses(client, headers) == (403, 403)
    assert client.put("/upload/x", headers=headers).status_code == 403
    assert client.get("/thumb/x", headers=headers).status_code == 403


@pytest.mark.parametrize("headers", FRIENDLY, ids=str)
def test_its_own_pages_and_programs_of_this_machine_may(client: TestClient, headers: dict[str, str]) -> None:
    assert statuses(client, headers) == (200, 101)


def test_a_link_from_elsewhere_opens_a_page_and_does_nothing_else(client: TestClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert statuses(client, headers) == (200, 403)
    assert client.put("/upload/x", headers=headers).status_code == 403


@pytest.mark.parametrize("names", [["lab.example"], ["localhost", "*.example"], ["*"]], ids=str)
def test_a_proxy_may_where_its_name_is_allowed(client: TestClient, names: list[str]) -> None:
    assert statuses(client, PROXY) == (403, 403)
    before = get_option("server.allowedHosts")
    set_option("server.allowedHosts", names)
    try:
        assert statuses(client, PROXY) == (200, 101)
        assert statuses(client, PROXY | {"Origin": "https://evil.example"}) == (403, 403)
    finally:
        set_option("server.allowedHosts", before)
    assert statuses(client, PROXY) == (403, 403)


def test_plotly_comes_from_this_machine(client: TestClient) -> None:
    answer = client.get("/plotly.min.js")
    assert answer.status_code == 200
    assert "javascript" in answer.headers["content-type"]
    assert "max-age" in answer.headers["cache-control"]
    assert "plotly.js v" in answer.text[:200]


def test_it_listens_to_this_machine_only() -> None:
    assert CONFIG["server"]["address"] == "127.0.0.1"
    assert set(CONFIG["server"]["allowedHosts"]) == set(LOOPBACK)


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
