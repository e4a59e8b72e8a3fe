"""Limits of connections that uvicorn does not have: their number, and the size and time of their headers."""

import asyncio
import time
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.common.infra import log

MAX_HEADER_BYTES = 64 << 10
"""Most bytes of a request's first line and headers, and of its trailers."""
HEADER_SECONDS = 20.0
"""How long a browser may take to send the headers of a request, from its first byte or the connection on."""
_LOG_SECONDS = 60.0

_log = log.get(__name__)


class LimitedProtocol(HttpToolsProtocol):
    """A connection. Whatever exceeds a limit is closed; use `with_limit`."""

    max_connections: ClassVar[int]
    refused: ClassVar[dict[str, float]]
    """When that was last logged."""

    @classmethod
    def with_limit(cls, max_connections: int) -> "type[LimitedProtocol]":
        """Return the class of the connections of a server that accepts so many at a time."""
        return type(cls.__name__, (cls,), {"max_connections": max_connections, "refused": {"logged_at": float("-inf")}})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unused_bytes = 0
        """Received since anything of a request was complete."""
        self._header_timer: asyncio.TimerHandle | None = None
        self._too_large = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection, or close it if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._log_refusal()
            transport.abort()
            return
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Receive bytes of a request."""
        self._unused_bytes += len(data)
        super().data_received(data)
        if self._unused_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
            self._refuse_headers()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        if self._header_timer is None:
            self._start_timer()

    def on_headers_complete(self) -> None:
        """Hand a request over to the application."""
        self._stop_timer()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEADER_BYTES:
            self._too_large = True
            raise ValueError("the headers are too large")
        self._unused_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Receive a part of a request's body."""
        self._unused_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._unused_bytes = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed."""
        if self._too_large:
            self._refuse_headers()
        else:
            super().send_400_response(msg)

    def _refuse_headers(self) -> None:
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
        self.transport.close()

    def _start_timer(self) -> None:
        self._header_timer = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._header_timer:
            self._header_timer.cancel()
            self._header_timer = None

    def _log_refusal(self) -> None:
        # Once a minute: refusals must not fill the disk.
        if time.monotonic() > self.refused["logged_at"] + _LOG_SECONDS:
            self.refused["logged_at"] = time.monotonic()
            _log.warning("connections refused: there are too many", limit=self.max_connections)
