"""Uploads to the gateway, fed from the event loop.

They use gRPC's synchronous interface, which reads its messages in a thread of its own: the asynchronous one loses the
gateway's error if it arrives during a write (grpc/grpc#36066), and the visitor would not learn what to correct.
"""

import asyncio
import contextlib
import queue
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar

from imageblur.v1.blur_service_pb2 import (
    AppendStart,
    AppendUploadRequest,
    StreamBlurOrderRequest,
    StreamBlurOrderResponse,
    Upload,
)
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur_client.rpc_errors import mapped_errors

from services.web.orders.manifest import Manifest

MAX_PENDING = 2
"""Messages that wait for gRPC: times the size of a message, the memory of an upload."""


_Message = TypeVar("_Message")


class _GatewayStream(Generic[_Message]):
    """One call with a stream of messages."""

    def __init__(self, rpc: Any, metadata: tuple[tuple[str, str], ...]) -> None:
        self._loop = asyncio.get_running_loop()
        self._pending: queue.SimpleQueue[_Message | None] = queue.SimpleQueue()
        self._slots = asyncio.Semaphore(MAX_PENDING)
        self._ended = asyncio.Event()
        self._call = rpc.future(iter(self._next_message, None), metadata=metadata)
        self._call.add_done_callback(lambda _: self._in_loop(self._end))

    @property
    def ended(self) -> bool:
        """Whether the gateway has ended the call: it wants no more."""
        return self._ended.is_set()

    def cancel(self) -> None:
        """Cancel the call if it has not ended."""
        self._call.cancel()
        self._pending.put(None)

    async def _finish(self) -> Any:
        """End the stream, and return the answer.

        Raises:
            ImageBlurClientError: The call failed.
        """
        self._pending.put(None)
        await self._ended.wait()
        with mapped_errors("the gateway"):
            return self._call.result()

    async def _put(self, message: _Message) -> None:
        await self._slots.acquire()
        self._pending.put(message)

    def _next_message(self) -> _Message | None:
        # Runs in gRPC's thread.
        message = self._pending.get()
        self._in_loop(self._slots.release)
        return message

    def _end(self) -> None:
        self._ended.set()
        self._pending.put(None)
        self._slots.release()  # wakes a _put() whose message is not read any more

    def _in_loop(self, callback: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(callback)


class GatewayAppend(_GatewayStream[AppendUploadRequest]):
    """One call of AppendUpload. What was sent is kept if it is cancelled."""

    def __init__(self, stub: BlurServiceStub, metadata: tuple[tuple[str, str], ...]) -> None:
        super().__init__(stub.AppendUpload, metadata)

    async def start(self, upload_id: str, offset: int) -> None:
        """Add the upload's ID and URL."""
        await self._put(AppendUploadRequest(start=AppendStart(upload_id=upload_id, offset=offset)))

    async def send(self, chunk: bytes) -> None:
        """Send the next bytes."""
        await self._put(AppendUploadRequest(chunk=chunk))

    async def finish(self) -> Upload:
        """Return what is stored when everything was received.

        Raises:
            ImageBlurClientError: The call failed.
        """
        upload: Upload = (await self._finish()).upload
        return upload


class GatewayUpload(_GatewayStream[StreamBlurOrderRequest]):
    """One call of StreamBlurOrder. The gateway keeps nothing of it if it is cancelled."""

    def __init__(self, stub: BlurServiceStub, metadata: tuple[tuple[str, str], ...]) -> None:
        super().__init__(stub.StreamBlurOrder, metadata)

    async def send(self, manifest: Manifest, contents: AsyncIterator[AsyncIterator[bytes]]) -> str:
        """Send an order as `place` does, and return its id."""
        return (await self.place(manifest, contents)).order.order_id

    async def place(self, manifest: Manifest, contents: AsyncIterator[AsyncIterator[bytes]]) -> StreamBlurOrderResponse:
        """Send an order with its files in order. Stops as soon as the gateway refuses it.

        Raises:
            ImageBlurClientError: The order was refused, or the connection was lost.
        """
        await self._put(manifest.start())
        images = iter(manifest.images)
        async for content in contents:
            await self._put(StreamBlurOrderRequest(image=next(images)))
            async for chunk in content:
                await self._put(StreamBlurOrderRequest(chunk=chunk))
                if self.ended:
                    break
            if self.ended:
                break
        response: StreamBlurOrderResponse = await self._finish()
        return response
