"""Metrics of the pages: requests by status, and latencies. No paths: they contain ids."""

import time

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.infra.metrics import SECONDS

_METHODS = {"GET", "HEAD", "POST"}
_PAGES = Counter("imageblur_pages", "Requests for pages that were answered.", ["method", "status"])
_PAGE_SECONDS = Histogram("imageblur_page_seconds", "Until an answer begins.", ["method"], buckets=SECONDS)


class MetricsMiddleware:
    """Wraps the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request to the application, and record its response."""
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
