"""An upload to the gateway, fed from the event loop.

It goes through gRPC's synchronous interface, which takes its messages in a thread of its own: the asynchronous one
loses what the gateway has answered if that comes while something is being written (grpc/grpc#36066), and then nobody
could be told what is wrong with the order.
"""

import asyncio
import contextlib
import queue
from collections.abc import AsyncIterator, Callable

from imageblur.v1.blur_service_pb2 import StreamBlurOrderRequest
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur_client.rpc_errors import mapped_errors

from services.web.orders.manifest import Manifest

AHEAD = 2
"""Messages that wait for gRPC: with their sizes, what an upload takes of memory."""


class Sending:
    """One call of StreamBlurOrder."""

    def __init__(self, stub: BlurServiceStub, metadata: tuple[tuple[str, str], ...]) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[StreamBlurOrderRequest | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(AHEAD)
        self._ended = asyncio.Event()
        self._call = stub.StreamBlurOrder.future(iter(self._take, None), metadata=metadata)
        self._call.add_done_callback(lambda _: self._tell(self._end))

    async def order(self, manifest: Manifest, contents: AsyncIterator[AsyncIterator[bytes]]) -> str:
        """Send an order whose files come in their turn; its id. Stops as soon as the gateway has refused it.

        Raises:
            ImageBlurClientError: It was refused, or the gateway went away.
        """
        await self._put(manifest.start())
        images = iter(manifest.images)
        async for content in contents:
            await self._put(StreamBlurOrderRequest(image=next(images).start))
            async for chunk in content:
                await self._put(StreamBlurOrderRequest(chunk=chunk))
                if self._ended.is_set():
                    break
            if self._ended.is_set():
                break
        self._waiting.put(None)
        await self._ended.wait()
        with mapped_errors("the gateway"):
            return self._call.result().order.order_id

    def cancel(self) -> None:
        """Break it off, if it is not at its end: nothing of it is kept."""
        self._call.cancel()
        self._waiting.put(None)

    async def _put(self, part: StreamBlurOrderRequest) -> None:
        await self._room.acquire()
        self._waiting.put(part)

    def _take(self) -> StreamBlurOrderRequest | None:
        # In gRPC's thread.
        part = self._waiting.get()
        self._tell(self._room.release)
        return part

    def _end(self) -> None:
        self._ended.set()
        self._waiting.put(None)
        self._room.release()  # for whoever waits to put something that nobody takes any more

    def _tell(self, what: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(what)
