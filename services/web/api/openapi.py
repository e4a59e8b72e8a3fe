"""The OpenAPI document, which `make protos` makes of the protos' comments (`tools.openapi`)."""

import hashlib
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

PATH = Path(__file__).with_name("openapi.json")


@cache
def read_document() -> tuple[bytes, str]:
    """Return the document and its entity tag."""
    content = PATH.read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:16]}"'


async def openapi(request: Request) -> Response:
    """Return the document."""
    content, etag = read_document()
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="application/json")
