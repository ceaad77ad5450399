"""The server's side of an upload: each file streams to the disk as it arrives.

PUT /upload/TOKEN       one file; its path, percent-encoded, in the header X-File; a piece of it with Content-Range
GET /upload/TOKEN       what is here already, so that a broken upload goes on where it stood; of X-File, how many bytes
DELETE /upload/TOKEN    forget it
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from typing import BinaryIO
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from transfer_core.errors import UserError
from transfer_core.files import get_home
from transfer_core.runs.uploads import (
    Upload,
    begun,
    discard_upload,
    open_upload,
    receive,
    receive_slice,
    received,
    received_part,
)

_STATUS = {"no-upload": 404, "too-large": 413, "too-many": 413, "disk-full": 507, "gap": 409}
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")  # RFC 9110, the last byte counted


async def upload(request: Request) -> Response:
    """Take a file, tell what is here, or forget all of it."""
    try:
        found = open_upload(get_home(), request.path_params["token"])
        path = unquote(request.headers.get("x-file", ""), errors="replace")
        if request.method == "GET":
            if path:
                return JSONResponse({"part": received_part(found, path)})
            return JSONResponse({"files": await run_in_threadpool(received, found), "begun": begun(found)})
        if request.method == "DELETE":
            await run_in_threadpool(discard_upload, found)
            return Response(status_code=204)
        with _place(found, path, request) as out:
            async for chunk in request.stream():
                out.write(chunk)
        return Response(status_code=204)
    except UserError as error:
        return JSONResponse({"error": str(error), "kind": error.kind}, _STATUS.get(error.kind, 400))
    except ClientDisconnect:
        return Response(status_code=400)


def _place(found: Upload, path: str, request: Request) -> AbstractContextManager[BinaryIO]:
    """Return where the bytes of a request go: a whole file, or the next piece of one."""
    piece = _RANGE.fullmatch(request.headers.get("content-range", ""))
    if piece:
        first, last, total = map(int, piece.groups())
        return receive_slice(found, path, first, last + 1, total)
    size = request.headers.get("content-length", "")
    return receive(found, path, int(size) if size.isdigit() else None)


ROUTE = Route("/upload/{token}", upload, methods=["GET", "PUT", "DELETE"])
