"""An upload to the gateway, fed from the event loop.

It uses gRPC's synchronous interface, which reads its messages in a thread of its own: the asynchronous one loses the
gateway's error if it arrives during a write (grpc/grpc#36066), and the visitor would not learn what to correct.
"""

import asyncio
import contextlib
import queue
from collections.abc import AsyncIterator, Callable

from imageblur.v1.blur_service_pb2 import StreamBlurOrderRequest
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur_client.rpc_errors import mapped_errors

from services.web.orders.manifest import Manifest

MAX_PENDING = 2
"""Messages that wait for gRPC: times the size of a message, the memory of an upload."""


class GatewayUpload:
    """One call of StreamBlurOrder."""

    def __init__(self, stub: BlurServiceStub, metadata: tuple[tuple[str, str], ...]) -> None:
        self._loop = asyncio.get_running_loop()
        self._pending: queue.SimpleQueue[StreamBlurOrderRequest | None] = queue.SimpleQueue()
        self._slots = asyncio.Semaphore(MAX_PENDING)
        self._ended = asyncio.Event()
        self._call = stub.StreamBlurOrder.future(iter(self._next_message, None), metadata=metadata)
        self._call.add_done_callback(lambda _: self._in_loop(self._end))

    async def send(self, manifest: Manifest, contents: AsyncIterator[AsyncIterator[bytes]]) -> str:
        """Send an order with its files in order, and return its id. Stops as soon as the gateway rejects it.

        Raises:
            ImageBlurClientError: The order was rejected, or the connection was lost.
        """
        await self._put(manifest.start())
        images = iter(manifest.images)
        async for content in contents:
            await self._put(StreamBlurOrderRequest(image=next(images)))
            async for chunk in content:
                await self._put(StreamBlurOrderRequest(chunk=chunk))
                if self._ended.is_set():
                    break
            if self._ended.is_set():
                break
        self._pending.put(None)
        await self._ended.wait()
        with mapped_errors("the gateway"):
            return self._call.result().order.order_id

    def cancel(self) -> None:
        """Cancel the call if it has not ended: the gateway then keeps nothing of it."""
        self._call.cancel()
        self._pending.put(None)

    async def _put(self, message: StreamBlurOrderRequest) -> None:
        await self._slots.acquire()
        self._pending.put(message)

    def _next_message(self) -> StreamBlurOrderRequest | None:
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
