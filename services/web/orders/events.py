"""Changes of an order as server-sent events: the rendered parts of its page that changed."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from imageblur.v1.blur_service_pb2 import WatchStatusResponse
from imageblur_client.errors import ImageBlurClientError, NotFoundError, RetryableError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.web.gateway.client import GatewayClient
from services.web.http.languages import texts_for
from services.web.http.templates import PRIVATE, PageRenderer
from services.web.orders.view import OrderFragments, image_views, is_settled, order_state

KEEPALIVE_SECONDS = 20.0
"""Interval of comments: proxies close silent connections, and a write detects a client that disconnected."""
_RETRY = b"retry: 1500\n\n"


class OrderEvents:
    """Event streams of orders."""

    def __init__(self, gateway: GatewayClient, pages: PageRenderer, stopping: asyncio.Event) -> None:
        self._gateway = gateway
        self._pages = pages
        self._stopping = stopping

    async def stream(self, request: Request) -> Response:
        """Stream changes of the images from one position to another. `Last-Event-ID` is the last revision received."""
        order_id = request.path_params["order_id"]
        order = await self._gateway.status(order_id)  # fail before the stream begins
        shown = range(_number(request.query_params.get("first")), _number(request.query_params.get("last")) + 1)
        after = _number(request.headers.get("last-event-id") or request.query_params.get("after"))
        events = self._events(OrderFragments(self._pages, texts_for(request), order.spec), order_id, shown, after)
        headers = PRIVATE | {"X-Accel-Buffering": "no"}
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    async def _events(self, fragments: OrderFragments, order_id: str, shown: range, after: int) -> AsyncIterator[bytes]:
        yield _RETRY
        changes = change_events(
            self._gateway, order_id, after, self._stopping, event=lambda change: _event(fragments, change, shown)
        )
        try:
            async with aclosing(changes):
                async for event in changes:
                    yield event
        except NotFoundError:
            yield b"event: deleted\ndata: \n\n"
        except RetryableError:
            return  # the browser reconnects
        except ImageBlurClientError:
            yield b"event: failed\ndata: \n\n"


async def change_events(
    gateway: GatewayClient,
    order_id: str,
    after: int,
    stopping: asyncio.Event,
    *,
    event: Callable[[WatchStatusResponse], bytes],
    end: bytes = b"",
) -> AsyncGenerator[bytes, None]:
    """Yield the event of each change after a revision, comments between them, and `end` after the last change.

    Without `end` where the server stops: the client connects to the next one, with the last revision.

    Raises:
        ImageBlurClientError: The order is unknown, was deleted, or cannot be watched.
    """
    stopped = asyncio.ensure_future(stopping.wait())
    try:
        async with gateway.watch(order_id, after) as changes:
            while True:
                following = asyncio.ensure_future(_next(changes))
                while not following.done():
                    await asyncio.wait(
                        {following, stopped}, timeout=KEEPALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED
                    )
                    if stopped.done():
                        following.cancel()
                        return
                    if not following.done():
                        yield b": \n\n"
                if (change := following.result()) is None:
                    if end:
                        yield end
                    return
                yield event(change)
    finally:
        stopped.cancel()


async def _next(changes: AsyncIterator[WatchStatusResponse]) -> WatchStatusResponse | None:
    return await anext(changes, None)


def _event(fragments: OrderFragments, change: WatchStatusResponse, shown: range) -> bytes:
    order = change.order
    data = {
        "state": order_state(order),
        "settled": is_settled(order),
        "title": fragments.title(order),
        "summary": fragments.summary(order),
        "actions": fragments.actions(order),
        "announcement": fragments.announcement(order),
        "images": {
            view.image.position: fragments.image(view)
            for view in image_views(order, change.changed_images)
            if view.image.position in shown
        },
    }
    return f"id: {order.revision}\nevent: change\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 16 else 0
