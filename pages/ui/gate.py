"""Who may speak to this server: its own pages, and programs of this machine; no page of another site or port.

It stands before everything else, Streamlit too: of an origin that Streamlit does not know, it asks an address
outside whether that is this machine's own, and waits for the answer.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\s/\\@?#:\[\]]+))(?::\d{1,5})?", re.ASCII)
_SAYS = (
    "Only pages of this server may ask this. Open it under its own address; behind a proxy, the name in the address "
    "must stand in server.allowedHosts and the proxy must pass Host on.\n"
)


class Gate:
    """Refuses what a page of another site, or of another port of this machine, asks: over HTTP and WebSocket alike."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or is_ours(
            Headers(scope=scope), scope.get("method", "")
        ):
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse(_SAYS, 403)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})


def is_ours(headers: Headers, method: str) -> bool:
    """Tell whether a request is for a name this server goes by and comes from a page of its own, or from no page."""
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    # A name of another site may be made to lead here: only the names that the server goes by are its own.
    if len(hosts) != 1 or not _is_own_name(hosts[0]) or len(origins) > 1:
        return False
    if origins:  # exactly as Streamlit compares them, or it would go on to ask outside
        return urlsplit(origins[0]).netloc == hosts[0]
    if headers.get("sec-fetch-site", "none") in ("same-origin", "none"):
        return True
    # Whoever follows a link to a page of ours comes from elsewhere, and the page there sees nothing of what it opened.
    opens = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")
    return method in ("GET", "HEAD") and opens == ("navigate", "document")


def _is_own_name(host: str) -> bool:
    found = _HOST.fullmatch(host.lower())
    if found is None:
        return False
    name = (found[1] or found[2]).rstrip(".")
    patterns = [each.strip().lower().rstrip(".") for each in st.get_option("server.allowedHosts") or LOOPBACK]
    return any(each in ("*", name) or (each[:2] == "*." and name.endswith(each[1:])) for each in patterns)
