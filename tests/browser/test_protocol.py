"""What speaks to a real server past its pages: only pages of its own may."""

from __future__ import annotations

import base64
import http.client
import os

import pytest

from tests.browser.serving import Server

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
    own = f"http://localhost:{server.port}"
    assert shake_hands(server, Origin=own) == 101
    assert shake_hands(server, Origin="http://evil.example") == 403
    assert shake_hands(server, Origin="null") == 403
    rebound = {"Host": f"evil.example:{server.port}", "Origin": f"http://evil.example:{server.port}"}
    assert shake_hands(server, **rebound) == 403
