"""Watches an order across lost connections and restarts of the server."""

import time
from collections.abc import Callable, Generator

import grpc
from imageblur.v1.blur_service_pb2 import WatchStatusRequest, WatchStatusResponse
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.order_pb2 import OrderState

from imageblur_client.errors import RetryableError, ServerUnavailableError
from imageblur_client.rpc_errors import mapped_errors

FINISHED = frozenset(
    {
        OrderState.ORDER_STATE_SUCCEEDED,
        OrderState.ORDER_STATE_PARTIALLY_FAILED,
        OrderState.ORDER_STATE_FAILED,
        OrderState.ORDER_STATE_CANCELLED,
        OrderState.ORDER_STATE_EXPIRED,
    }
)
RETRIES = 8
_MAX_PAUSE = 5.0


class WatchProgress:
    """What is known of a watch over several calls, without the calls.

    Args:
        order_id: ID of the order.
        after_revision: The revision that is known already.
        server: Address of the server, for error messages.
        timeout: Timeout of the whole watch in seconds.
        retries: Calls without a change before giving up.
    """

    def __init__(self, order_id: str, after_revision: int, *, server: str, timeout: float | None, retries: int) -> None:
        self._order_id = order_id
        self._server = server
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._retries = retries
        self._complete = self._newest = after_revision
        self._received = False
        self._failures = 0
        self.finished = False
        """Whether the last change reported it."""

    def next_call(self) -> tuple[WatchStatusRequest, float | None]:
        """Return the request of the next call, and its timeout.

        Raises:
            RetryableError: The watch took too long.
        """
        left = None if self._deadline is None else self._deadline - time.monotonic()
        if left is not None and left <= 0:
            raise RetryableError("the order did not finish in time", code=grpc.StatusCode.DEADLINE_EXCEEDED)
        return WatchStatusRequest(order_id=self._order_id, after_revision=self._complete), left

    def take(self, message: WatchStatusResponse) -> None:
        """Record a change."""
        # A revision may come in several messages of 1,000 images, and is complete only when a later one follows:
        # resuming after the newest could miss the rest of it.
        if message.order.revision > self._newest:
            self._complete, self._newest = self._newest, message.order.revision
            self._failures = 0
        self._received, self.finished = True, message.order.state in FINISHED

    def pause_after(self, error: RetryableError | None) -> float:
        """Return the seconds to wait after a call that ended early.

        Args:
            error: Why; None: without an error.

        Raises:
            RetryableError: It is not worth another call.
        """
        if error is None:
            message = f"the server at {self._server} ended the watch before the order finished"
            error = ServerUnavailableError(message)
        # After a restart all watchers reconnect at once, and the server may refuse some for a moment.
        elif not isinstance(error, ServerUnavailableError) and error.retry_after is None:
            raise error
        self._failures += 1
        if not self._received or self._failures > self._retries:
            raise error
        backoff = min(0.25 * 2 ** (self._failures - 1), _MAX_PAUSE)
        pause = backoff if error.retry_after is None else min(error.retry_after, 6 * _MAX_PAUSE)
        return pause if self._deadline is None else max(0.0, min(pause, self._deadline - time.monotonic()))


def watch_changes(
    stub: BlurServiceStub, progress: WatchProgress, *, server: str, sleep: Callable[[float], None] = time.sleep
) -> Generator[WatchStatusResponse, None, None]:
    """Yield changes until the order has finished and no delivery is open, over as many calls as needed.

    A call that ends with a retryable error is repeated from the last revision; a change may be repeated then. The first
    call is not repeated if nothing was received.

    Raises:
        ImageBlurClientError: The watch failed, or failed too often.
    """
    while True:
        failure: RetryableError | None = None
        try:
            request, timeout = progress.next_call()
            with mapped_errors(server):
                call = stub.WatchStatus(request, timeout=timeout)
                try:
                    for message in call:
                        progress.take(message)
                        yield message
                finally:
                    call.cancel()  # if the caller stops early; no effect on a finished call
            if progress.finished:
                return
        except RetryableError as error:
            failure = error
        sleep(progress.pause_after(failure))
