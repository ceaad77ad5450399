"""The ASGI application: `streamlit run app.py`.

Pages are in `pages/`, everything they do in `transfer_core/`. Here are only what belongs to the server:
start, routes and headers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.responses import FileResponse
from starlette.routing import Route

from pages.ui.gate import Gate
from pages.ui.headers import SecurityHeaders
from pages.ui.libraries import begin_to_load_libraries
from pages.ui.start import PlainStart, get_address
from pages.ui.thumb_route import ROUTE as THUMBS
from pages.ui.upload_route import ROUTE as UPLOADS
from transfer_core.errors import UserError
from transfer_core.files import get_home, is_writable, private_files
from transfer_core.runs.lab import Lab
from transfer_core.runs.one_server import only_server


@asynccontextmanager
async def lifespan(_app: Any) -> AsyncIterator[None]:
    """Once per server: find runs that were killed while nobody looked, and start what waits."""
    home, address = get_home(), get_address()
    with private_files(), only_server(home, address):
        with suppress(UserError):  # every page says it; here a full disk must not keep the pages from coming
            lab = Lab(home)
            if is_writable(home):
                lab.store.check()
                lab.look()
                lab.library.sweep_orphans()
        begin_to_load_libraries()
        print(f"\n  Transfer Lab is at {address}\n", flush=True)
        yield


async def plotly_js(_request: Any) -> FileResponse:
    """Plotly's own bundle, from the installed package, for the live curves: nothing is fetched outside."""
    spec = find_spec("plotly")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "package_data" / "plotly.min.js"
    return FileResponse(path, headers={"Cache-Control": "max-age=604800"})


ROUTES = [Route("/plotly.min.js", plotly_js), THUMBS, UPLOADS]
MIDDLEWARE = [
    Middleware(PlainStart),
    Middleware(SecurityHeaders),
    Middleware(Gate),
]  # the first is the outermost
app = st.App(
    "pages/main.py",
    lifespan=lifespan,
    routes=ROUTES,
    middleware=MIDDLEWARE,
)
