"""An order's changes as server-sent events: the parts of its page that have changed, as they are to be shown."""

import asyncio
import json
from collections.abc import AsyncIterator

from imageblur.v1.blur_service_pb2 import WatchStatusResponse
from imageblur_client.errors import ImageBlurClientError, NotFoundError, RetryableError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from services.web.gateway import Gateway
from services.web.http.languages import choose
from services.web.http.templates import PRIVATE, Pages
from services.web.orders.view import OrderParts, at_rest, order_state, views

BEAT_SECONDS = 20.0
"""Something is sent at least so often: proxies cut silent connections, and a browser that has gone is noticed."""
_RETRY = b"retry: 1500\n\n"


class OrderEvents:
    """Streams of changes."""

    def __init__(self, gateway: Gateway, pages: Pages, stopping: asyncio.Event) -> None:
        self._gateway = gateway
        self._pages = pages
        self._stopping = stopping

    async def stream(self, request: Request) -> Response:
        """The changes of the images from one position to another; `Last-Event-ID` is the revision seen last."""
        order_id = request.path_params["order_id"]
        await self._gateway.status(order_id)  # no stream of an order that there is not
        shown = range(_number(request.query_params.get("first")), _number(request.query_params.get("last")) + 1)
        after = _number(request.headers.get("last-event-id") or request.query_params.get("after"))
        events = self._events(OrderParts(self._pages, choose(request)), order_id, shown, after)
        headers = PRIVATE | {"X-Accel-Buffering": "no"}
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    async def _events(self, parts: OrderParts, order_id: str, shown: range, after: int) -> AsyncIterator[bytes]:
        yield _RETRY
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            async with self._gateway.watch(order_id, after) as changes:
                while True:
                    following = asyncio.ensure_future(_next(changes))
                    while not following.done():
                        await asyncio.wait(
                            {following, stopping}, timeout=BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
                        )
                        if stopping.done():
                            following.cancel()
                            return  # the browser comes again, and finds the server that follows this one
                        if not following.done():
                            yield b": \n\n"
                    change = following.result()
                    if change is None:
                        return
                    yield _event(parts, change, shown)
        except NotFoundError:
            yield b"event: gone\ndata: \n\n"
        except RetryableError:
            return  # likewise
        except ImageBlurClientError:
            yield b"event: broken\ndata: \n\n"
        finally:
            stopping.cancel()


async def _next(changes: AsyncIterator[WatchStatusResponse]) -> WatchStatusResponse | None:
    return await anext(changes, None)


def _event(parts: OrderParts, change: WatchStatusResponse, shown: range) -> bytes:
    order = change.order
    data = {
        "state": order_state(order),
        "rest": at_rest(order),
        "summary": parts.summary(order),
        "actions": parts.actions(order),
        "announcement": parts.announcement(order),
        "images": {
            view.image.position: parts.image(view)
            for view in views(order, change.changed_images)
            if view.image.position in shown
        },
    }
    return f"id: {order.revision}\nevent: change\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 16 else 0
