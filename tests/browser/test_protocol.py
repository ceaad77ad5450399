"""What speaks to a real server past its pages: only pages of its own may."""

from __future__ import annotations

import base64
import http.client
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.serving import ROOT, Server

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]


def shake_hands(server: Server, **headers: str) -> int:
    """The status with which the server answers to a websocket."""
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    key = base64.b64encode(os.urandom(16)).decode()
    asked = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
    }
    line.request("GET", "/_stcore/stream", headers=asked | headers)
    status = line.getresponse().status
    line.close()
    return status


def test_only_its_own_pages_may_speak_to_the_app(server: Server) -> None:
    """Of whoever else comes the server asks nobody outside: that is watched for every test."""
    own = f"localhost:{server.port}"
    assert shake_hands(server, Host=own, Origin=f"http://{own}") == 101
    for origin in (
        "http://evil.example",
        "null",
        "http://localhost:1",
        "http://127.0.0.1",
        f"http://[::1]:{server.port}",
    ):
        assert shake_hands(server, Host=own, Origin=origin) == 403
    for host in ("evil.example", f"evil.example:{server.port}"):
        assert shake_hands(server, Host=host, Origin=f"http://{host}") == 403


def test_the_watch_tells_and_stops_what_would_leave(tmp_path: Path) -> None:
    """Addresses for documentation (RFC 5737), and nothing is sent to them."""
    server = Server(tmp_path / "home")
    code = (
        "import contextlib, socket\n"
        "for ask in (lambda: socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9)),"
        " lambda: socket.getaddrinfo('name.invalid', 9, flags=socket.AI_NUMERICHOST),"
        " lambda: socket.socket(type=socket.SOCK_DGRAM).connect(('127.0.0.1', 9))):\n"
        "    with contextlib.suppress(OSError): ask()"
    )
    # As the server starts its children, so that these are watched as well.
    parent = f"import os, subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], env=os.environ, check=True)"
    subprocess.run([sys.executable, "-c", parent], env=server.environment, check=True)
    assert {each["peer"] for each in server.must_not_be()} == {"('192.0.2.1', 9)", "name.invalid"}
    assert {each["pid"] for each in server.told()} > {each["pid"] for each in server.must_not_be()}


def test_a_second_server_on_the_home_is_told_of_the_first_and_the_command_line_works(server: Server) -> None:
    second = Server(server.home)
    said = subprocess.run(
        second.command, cwd=ROOT, env=second.environment, capture_output=True, text=True, check=False
    )
    words = said.stdout + said.stderr
    assert said.returncode
    assert f"http://127.0.0.1:{server.port} (process {server.pid})" in words
    assert "Traceback" not in words
    assert str(second.port) not in words  # nobody is sent there
    subprocess.run(
        [sys.executable, "-m", "transfer_core", "runs"], cwd=ROOT, env=server.environment, check=True
    )
    assert shake_hands(server, Host="localhost", Origin="http://localhost") == 101
    server.kill()
    server.start()  # a killed server's lock is free
