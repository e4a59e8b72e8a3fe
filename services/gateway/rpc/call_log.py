"""The account of each call: one line of log, and what is counted. Ids only, never what a client wrote."""

import time
from typing import Any
from uuid import UUID

from services.common.infra import log, tracing
from services.gateway import metrics

# Polled by load balancers and by the stack: a line each would bury the rest.
_QUIET = ("/grpc.health.", "/grpc.reflection.")
# What happens to an order, not the looks at it.
_TRACED = {"BlurOrder", "StreamBlurOrder", "SendImages", "DownloadImages", "CancelOrder", "DeleteOrder"}

_log = log.get(__name__)


class Account:
    """Of one call, begun when it came."""

    def __init__(self, method: str) -> None:
        self._method = method.rpartition("/")[2]
        self._quiet = method.startswith(_QUIET)
        self._begin = time.monotonic()
        self._order: str | None = None

    def saw(self, message: Any) -> None:
        """A request or response of the call, which may name its order."""
        order = getattr(message, "order", None)
        named = getattr(message, "order_id", "") or getattr(order, "order_id", "")
        try:
            self._order = str(UUID(named))
        except (ValueError, TypeError, AttributeError):
            return  # a client may write there what it likes

    def close(self, code: str) -> None:
        """The call has ended; `code` by its gRPC name."""
        seconds = time.monotonic() - self._begin
        metrics.rpc_ended(self._method, code, seconds)
        if self._method in _TRACED:
            attributes = {"rpc.method": self._method, "rpc.code": code}
            tracing.record(self._method, self._order, seconds, ok=code == "OK", attributes=attributes)
        if not self._quiet:
            order = {"order": self._order} if self._order else {}
            _log.info("rpc", method=self._method, code=code, seconds=round(seconds, 4), **order)
