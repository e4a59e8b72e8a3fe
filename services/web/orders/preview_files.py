"""Files to preview: in memory if they fit into a message to the gateway, else in an upload that is deleted at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from imageblur.v1 import blur_service_pb2 as pb
from imageblur_client.errors import ImageBlurClientError
from starlette.requests import Request

from services.common.infra import log
from services.web.gateway.client import GatewayClient
from services.web.orders.body_reader import BodyReader
from services.web.orders.uploads import CHUNK_BYTES

RESERVED_BYTES = 4096
"""Bytes of a message to the gateway that are reserved for all but the image."""
_LENGTH_DIGITS = 15

_log = log.get(__name__)


class PreviewFiles:
    """Receives files, and forgets them."""

    def __init__(self, gateway: GatewayClient) -> None:
        self._gateway = gateway
        self._deletions: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def receive(self, request: Request, limits: pb.GetLimitsResponse) -> AsyncIterator[pb.FindRegionsRequest]:
        """Receive the body of a request; yields a request of the gateway that means it.

        Raises:
            EOFError: It is larger than an image may be, or ends too early.
            ClientDisconnect: The client closed the connection.
            ImageBlurClientError: The gateway does not take it.
        """
        body, most = BodyReader(request.stream()), limits.max_message_bytes - RESERVED_BYTES
        length = request.headers.get("content-length", "")
        size = int(length) if length.isascii() and length.isdecimal() and len(length) <= _LENGTH_DIGITS else 0
        if size <= most:
            yield pb.FindRegionsRequest(data=await body.read_all(most))
            return
        if size > limits.max_image_bytes:
            raise EOFError("larger than an image may be")
        image = pb.ImageStart(filename="preview", size_bytes=size)
        upload = await self._gateway.create_upload(pb.CreateUploadRequest(order=pb.OrderHeader(), images=[image]))
        try:
            async with self._gateway.append(upload.upload_id, 0) as call:
                async for chunk in body.chunks(size, CHUNK_BYTES):
                    if call.ended:
                        break
                    await call.send(chunk)
                await call.finish()
            yield pb.FindRegionsRequest(upload_id=upload.upload_id)
        finally:
            # A task of its own: that of a visitor who has gone is cancelled.
            task = asyncio.create_task(self._delete(upload.upload_id))
            self._deletions.add(task)
            task.add_done_callback(self._deletions.discard)

    async def _delete(self, upload_id: str) -> None:
        try:
            await self._gateway.delete_upload(upload_id)
        except ImageBlurClientError as error:
            _log.warning("a file that was previewed is deleted only when its upload expires", error=error.message)
