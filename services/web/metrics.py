"""What the pages count: requests by status, and how soon they are answered. Never a path: there are ids in them."""

import time

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.infra.metrics import SECONDS

_METHODS = {"GET", "HEAD", "POST"}
_PAGES = Counter("imageblur_pages", "Requests for pages that were answered.", ["method", "status"])
_PAGE_SECONDS = Histogram("imageblur_page_seconds", "Until an answer begins.", ["method"], buckets=SECONDS)


class Counted:
    """Goes around the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the application answer a request, and count how."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.monotonic()
        method = scope["method"] if scope["method"] in _METHODS else "other"

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                _PAGES.labels(method, message["status"]).inc()
                _PAGE_SECONDS.labels(method).observe(time.monotonic() - begin)
            await send(message)

        await self._app(scope, receive, send_and_count)
