"""The bytes of uploads over HTTP, as in tus 1.0 (https://tus.io/protocols/resumable-upload): HEAD, PATCH, DELETE.

Its extensions "creation", "expiration" and "termination" are supported. Orders are created and completed elsewhere: an
upload of tus is one file, and an order is many.
"""

import contextlib
from collections.abc import Callable, Mapping
from email.utils import format_datetime
from typing import TypeAlias

from imageblur.v1 import blur_service_pb2 as pb
from imageblur_client.errors import ImageBlurClientError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from services.web.gateway.client import GatewayClient
from services.web.gateway.upload import GatewayAppend
from services.web.http.problem_details import problem_details
from services.web.http.templates import PRIVATE
from services.web.orders.body_reader import BodyReader
from services.web.orders.uploads import CHUNK_BYTES

VERSION = "1.0.0"
CONTENT_TYPE = "application/offset+octet-stream"
EXTENSIONS = "creation,expiration,termination"

GatewayOf: TypeAlias = Callable[[Request], GatewayClient]


class TusUploads:
    """The endpoints of one upload; `gateway_of` returns the gateway with the key of a request."""

    def __init__(self, gateway_of: GatewayOf) -> None:
        self._gateway_of = gateway_of

    async def append(self, request: Request) -> Response:
        """PATCH: append the body at the offset; what arrives before a line is cut is kept."""
        if refusal := _check_version(request):
            return refusal
        if request.headers.get("content-type", "") != CONTENT_TYPE:
            return _refuse(415, f"Content-Type must be {CONTENT_TYPE}")
        offset = request.headers.get("upload-offset", "")
        if not (offset.isascii() and offset.isdecimal() and len(offset) < 19):
            return _refuse(400, "Upload-Offset must be a number of bytes")
        upload_id, body = request.path_params["upload_id"], BodyReader(request.stream())
        async with self._gateway_of(request).append(upload_id, int(offset)) as call:
            try:
                await _pass_on(body, call)
            except (ClientDisconnect, EOFError):
                with contextlib.suppress(ImageBlurClientError):
                    await call.finish()
                return Response(status_code=499)  # nobody receives it
            upload = await call.finish()
        return Response(status_code=204, headers=headers_of(upload))

    async def delete(self, request: Request) -> Response:
        """DELETE: delete the upload and its bytes."""
        if refusal := _check_version(request):
            return refusal
        await self._gateway_of(request).delete_upload(request.path_params["upload_id"])
        return Response(status_code=204, headers=PRIVATE | {"Tus-Resumable": VERSION})


async def _pass_on(body: BodyReader, call: GatewayAppend) -> None:
    """Send a body in large chunks, and of a broken one what has arrived."""
    chunk = bytearray()
    try:
        while (piece := await body.read(CHUNK_BYTES - len(chunk))) and not call.ended:
            chunk += piece
            if len(chunk) == CHUNK_BYTES:
                await call.send(bytes(chunk))
                chunk.clear()
    finally:
        if chunk and not call.ended:
            await call.send(bytes(chunk))


def headers_of(upload: pb.Upload) -> dict[str, str]:
    """Return the headers that describe an upload."""
    headers = PRIVATE | {
        "Tus-Resumable": VERSION,
        "Upload-Offset": str(upload.received_bytes),
        "Upload-Length": str(upload.size_bytes),
    }
    if upload.HasField("expire_time"):
        headers["Upload-Expires"] = format_datetime(upload.expire_time.ToDatetime()).replace("-0000", "GMT")
    return headers


def options(max_bytes: int) -> Mapping[str, str]:
    """Return the headers that describe the server."""
    return {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(max_bytes),
    }


def _check_version(request: Request) -> Response | None:
    version = request.headers.get("tus-resumable", VERSION)
    return None if version == VERSION else _refuse(412, f"the version of tus must be {VERSION}")


def _refuse(status: int, text: str) -> Response:
    response = problem_details(status, text)
    response.headers.update({"Tus-Resumable": VERSION, "Tus-Version": VERSION})
    return response
