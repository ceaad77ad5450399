"""GET /thumb/IMAGE: the thumbnail of an image, so that a chart of thousands loads only those that are pointed at."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from transfer_core.data.library import Library
from transfer_core.files import get_home, is_id


async def thumb(request: Request) -> Response:
    """Send a thumbnail; who does not know the image's hash gets nothing."""
    image = request.path_params["image"]
    path = Library(get_home()).thumb_path(image) if is_id(image) and len(image) == 64 else None
    if path is None or not path.exists():
        return Response(status_code=404)
    return FileResponse(path, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


ROUTE = Route("/thumb/{image}", thumb, methods=["GET"])
