"""Orders of the API: placed as a form with files or as JSON, watched as server-sent events, downloaded in ranges."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing

from imageblur.v1 import blur_service_pb2 as pb
from imageblur_client.errors import ImageBlurClientError, NotFoundError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.web.api.calls import Gateways
from services.web.api.errors import BadRequest
from services.web.api.messages import as_dict, json_response, parse_json, query_fields
from services.web.api.order_form import parse_header
from services.web.api.spec_query import parse_spec
from services.web.gateway.client import GatewayClient
from services.web.http.templates import PRIVATE
from services.web.orders.body_reader import BodyReader
from services.web.orders.downloads import DownloadPages, drawing
from services.web.orders.events import change_events
from services.web.orders.manifest import Manifest
from services.web.orders.multipart import read_form
from services.web.orders.uploaded_form import UploadedForm
from services.web.orders.uploads import CHUNK_BYTES


class ApiOrders:
    """Places, watches and downloads orders with the key of each request."""

    def __init__(self, gateways: Gateways, stopping: asyncio.Event) -> None:
        self._gateways = gateways
        self._stopping = stopping

    async def place(self, request: Request) -> Response:
        """Place an order, and return it."""
        gateway = self._gateways.of(request)
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            return json_response(await self._place_form(request, gateway), 201)
        limits = await gateway.limits()
        try:
            body = await BodyReader(request.stream()).read_all(2 * limits.max_message_bytes)
        except EOFError:
            raise BadRequest("body", "is too large: send a form with files", status=413) from None
        fields = query_fields(request.query_params, pb.BlurOrderRequest)
        return json_response(await gateway.place(parse_json(body, pb.BlurOrderRequest, fields)), 201)

    async def watch(self, request: Request) -> Response:
        """Stream a WatchStatusResponse for each change; `Last-Event-ID` is the last revision received."""
        gateway, order_id = self._gateways.of(request), request.path_params["order_id"]
        await gateway.status(order_id)  # fail before the stream begins
        after = request.headers.get("last-event-id") or request.query_params.get("after_revision") or "0"
        if not (after.isascii() and after.isdecimal() and len(after) < 16):
            raise BadRequest("after_revision", f"{after!r} is not a revision")
        headers = PRIVATE | {"X-Accel-Buffering": "no"}
        events = self._events(gateway, order_id, int(after))
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    async def archive(self, request: Request) -> Response:
        """Return a ZIP of all results of an order so far; ranges are supported."""
        return await DownloadPages(self._gateways.of(request), strict=True).archive(request)

    async def image(self, request: Request) -> Response:
        """Return one result; ranges are supported."""
        return await DownloadPages(self._gateways.of(request), strict=True).image(request)

    async def linked_archive(self, request: Request) -> Response:
        """Return the archive that the link of an e-mail leads to, by its token."""
        if not request.query_params.get("token"):
            raise BadRequest("token", "is required")
        return await DownloadPages(self._gateways.of(request), strict=True).linked_archive(request)

    async def preview(self, request: Request) -> Response:
        """Return a drawing of an original or of a result."""
        fields = query_fields(request.query_params, pb.PreviewImageRequest) | dict(request.path_params)
        message = parse_json(b"", pb.PreviewImageRequest, fields)
        return drawing(await self._gateways.of(request).preview(message))

    async def _place_form(self, request: Request, gateway: GatewayClient) -> pb.StreamBlurOrderResponse:
        spec = parse_spec(request.query_params)
        limits = await gateway.limits()
        with await read_form(request, max_bytes=limits.max_order_bytes, max_files=limits.max_images) as form:
            if not form.files:
                raise BadRequest("image", "is missing: send at least one file of the form")
            images = [pb.ImageStart(filename=file.name, size_bytes=file.size) for file in form.files]
            async with gateway.upload() as upload:
                return await upload.place(Manifest(parse_header(form.fields, spec), images), _contents(form))

    async def _events(self, gateway: GatewayClient, order_id: str, after: int) -> AsyncIterator[bytes]:
        changes = change_events(
            gateway, order_id, after, self._stopping, event=_change, end=b"event: end\ndata: {}\n\n"
        )
        try:
            async with aclosing(changes):
                async for event in changes:
                    yield event
        except NotFoundError:
            yield b"event: deleted\ndata: {}\n\n"
        except ImageBlurClientError:
            return  # the client connects again


def _change(change: pb.WatchStatusResponse) -> bytes:
    return f"id: {change.order.revision}\nevent: change\ndata: {json.dumps(as_dict(change))}\n\n".encode()


async def _contents(form: UploadedForm) -> AsyncIterator[AsyncIterator[bytes]]:
    for file in form.files:
        yield form.chunks(file, CHUNK_BYTES)
