"""The server's side of an upload: each file streams to the disk as it arrives.

PUT /upload/TOKEN       one file; its path, percent-encoded, in the header X-File; a piece of it with Content-Range
GET /upload/TOKEN       what is here already, so that a broken upload goes on where it stood; of X-File, how many bytes
POST /upload/TOKEN      all of it has come: {"files", "size", "name"} and what else the page tells of it
DELETE /upload/TOKEN    forget it; what has come whole is forgotten on a page
"""

from __future__ import annotations

import json
import re
from contextlib import AbstractContextManager
from typing import Any, BinaryIO
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from transfer_core.errors import UserError
from transfer_core.files import get_home
from transfer_core.runs.unread import discard_upload, is_whole, mark_whole
from transfer_core.runs.uploads import (
    MAX_NAME,
    Upload,
    begun,
    open_upload,
    receive,
    receive_slice,
    received,
    received_part,
)

LONGEST = 10_000  # bytes of what a page tells of an upload
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
            if not is_whole(found.folder):
                await run_in_threadpool(discard_upload, found)
            return Response(status_code=204)
        if request.method == "POST":
            await run_in_threadpool(_mark, found, await _read_json(request))
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
    told = request.headers.get("content-range")
    if told is not None:
        piece = _RANGE.fullmatch(told)
        if (
            piece is None
        ):  # a piece of something, and nobody knows of what: kept, it would pass for the whole file
            raise UserError(
                "Which piece of the file this is cannot be read: send the file again.", "no-piece"
            )
        first, last, total = map(int, piece.groups())
        return receive_slice(found, path, first, last + 1, total)
    size = request.headers.get("content-length", "")
    return receive(found, path, int(size) if size.isdigit() else None)


async def _read_json(request: Request) -> dict[str, Any]:
    """Return the small JSON object that a page sends."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST:
            raise UserError("This is no word of a page of this server.", "bad-word")
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise UserError("This is no word of a page of this server.", "bad-word")
    return told


def _mark(found: Upload, told: dict[str, Any]) -> None:
    """Note that all has come, with what the page tells as text."""
    kept = {key: told[key] for key in ("for", "parent", "frames") if isinstance(told.get(key), str)}
    files, size = (told.get(key) if isinstance(told.get(key), int) else 0 for key in ("files", "size"))
    mark_whole(found, files or 0, size or 0, kept | {"name": str(told.get("name"))[:MAX_NAME]})


ROUTE = Route("/upload/{token}", upload, methods=["GET", "PUT", "POST", "DELETE"])
