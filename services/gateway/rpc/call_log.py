"""Logs, counts and traces each call. Contains IDs only, never text that a client sent.

Calls that went well, or that their clients cancelled, are logged at DEBUG: there are many, and metrics count them.
"""

import time
from typing import Any
from uuid import UUID

from services.common.infra import log, tracing
from services.gateway import metrics

# Polled by load balancers and by the stack: a line for each call would bury the others.
_NOT_LOGGED = ("/grpc.health.", "/grpc.reflection.")
# Calls that change an order or return its results; others only read its state.
_TRACED = {"BlurOrder", "StreamBlurOrder", "SendImages", "DownloadImages", "CancelOrder", "ReviseImages", "DeleteOrder"}

_log = log.get(__name__)


class CallLog:
    """The log entry, metrics and trace of one call, created when it starts."""

    def __init__(self, method: str) -> None:
        self._method = method.rpartition("/")[2]
        self._logged = not method.startswith(_NOT_LOGGED)
        self._started = time.monotonic()
        self._order_id: str | None = None

    def note_order(self, message: Any) -> None:
        """Remember the order that a request or response of the call names, if any."""
        order, upload = getattr(message, "order", None), getattr(message, "upload", message)
        # An upload has the ID that its order will have.
        order_id = (
            getattr(message, "order_id", "") or getattr(order, "order_id", "") or getattr(upload, "upload_id", "")
        )
        try:
            self._order_id = str(UUID(order_id))
        except (ValueError, TypeError, AttributeError):
            return  # a client may send any text

    def finish(self, code: str) -> float:
        """Write the entry; `code` is the name of the gRPC status code. Return how long the call took, in seconds."""
        seconds = time.monotonic() - self._started
        metrics.rpc_finished(self._method, code, seconds)
        if self._method in _TRACED:
            attributes = {"rpc.method": self._method, "rpc.code": code}
            tracing.record(self._method, self._order_id, seconds, ok=code == "OK", attributes=attributes)
        if self._logged:
            order = {"order": self._order_id} if self._order_id else {}
            # A client may cancel thousands in a second: they must not fill the disk.
            write = _log.debug if code in {"OK", "CANCELLED"} else _log.info
            write("rpc", method=self._method, code=code, seconds=round(seconds, 4), **order)
        return seconds
