"""Watches an order across lost connections and restarts of the server."""

import time
from collections.abc import Callable, Generator, Iterator

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


class Watch:
    """The changes of one order, over as many calls as needed.

    A call that ends with a retryable error is repeated from the last revision, at most `retries` times without a change
    in between. The first call is not repeated if nothing was received.

    Args:
        stub: Stub of the server.
        order_id: ID of the order.
        server: Address of the server, for error messages.
        timeout: Timeout of the whole watch in seconds.
        retries: Calls without a change before giving up.
        sleep: For tests.
    """

    def __init__(
        self,
        stub: BlurServiceStub,
        order_id: str,
        *,
        server: str,
        timeout: float | None = None,
        retries: int = RETRIES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._stub = stub
        self._order_id = order_id
        self._server = server
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._retries = retries
        self._sleep = sleep

    def changes(self, after_revision: int = 0) -> Generator[WatchStatusResponse, None, None]:
        """Yield changes until the order has finished and no delivery is open. A change may be repeated after a retry.

        Raises:
            ImageBlurClientError: The watch failed, or failed too often.
        """
        complete, newest, finished = after_revision, after_revision, False
        received, failures = False, 0
        last_error: RetryableError
        while True:
            try:
                for message in self._call(complete):
                    # A revision may come in several messages of 1,000 images, and is complete only when a later one
                    # follows: resuming after the newest could miss the rest of it.
                    if message.order.revision > newest:
                        complete, newest = newest, message.order.revision
                        failures = 0
                    received, finished = True, message.order.state in FINISHED
                    yield message
                if finished:
                    return
                last_error = ServerUnavailableError(
                    f"the server at {self._server} ended the watch before the order finished"
                )
            except RetryableError as error:
                # After a restart all watchers reconnect at once, and the server may refuse some for a moment.
                if not isinstance(error, ServerUnavailableError) and error.retry_after is None:
                    raise
                last_error = error
            failures += 1
            if not received or failures > self._retries:
                raise last_error
            self._sleep(self._pause(failures, last_error.retry_after))

    def _call(self, after_revision: int) -> Iterator[WatchStatusResponse]:
        request = WatchStatusRequest(order_id=self._order_id, after_revision=after_revision)
        with mapped_errors(self._server):
            call = self._stub.WatchStatus(request, timeout=self._remaining())
            try:
                yield from call
            finally:
                call.cancel()  # if the caller stops early; no effect on a finished call

    def _remaining(self) -> float | None:
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise RetryableError("the order did not finish in time", code=grpc.StatusCode.DEADLINE_EXCEEDED)
        return left

    def _pause(self, failures: int, retry_after: float | None) -> float:
        backoff = min(0.25 * 2 ** (failures - 1), _MAX_PAUSE)
        pause = backoff if retry_after is None else min(retry_after, 6 * _MAX_PAUSE)
        return pause if self._deadline is None else max(0.0, min(pause, self._deadline - time.monotonic()))
