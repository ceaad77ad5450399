"""How the server starts: where it says it is, and one sentence where it cannot."""

from __future__ import annotations

import streamlit as st
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from transfer_core.errors import UserError


class PlainStart:
    """Says why a start failed in the one sentence of its UserError; the frameworks would show a traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return
        failed: list[Message] = []

        async def hold_back(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                failed.append(message)
            else:
                await send(message)

        try:
            await self.app(scope, receive, hold_back)
        except UserError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
        except BaseException:
            for message in failed:
                await send(message)
            raise


def get_address() -> str:
    """Return where a browser of this machine finds the server."""
    bound = st.get_option("server.address") or "0.0.0.0"
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(bound, f"[{bound}]" if ":" in bound else bound)
    scheme = "https" if st.get_option("server.sslCertFile") else "http"
    base = st.get_option("server.baseUrlPath").strip("/")
    return f"{scheme}://{name}:{st.get_option('server.port')}" + (f"/{base}" if base else "")
