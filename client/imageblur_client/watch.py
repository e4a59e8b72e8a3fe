"""Watching an order through lost connections and restarts of the server."""

import time
from collections.abc import Callable, Generator, Iterator

import grpc
from imageblur.v1.blur_service_pb2 import WatchStatusRequest, WatchStatusResponse
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.order_pb2 import OrderState

from imageblur_client.errors import ServerUnavailable, TryAgain
from imageblur_client.rpc_errors import translated

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
_LONGEST_PAUSE = 5.0


class Watch:
    """One order's changes as a single sequence, however many calls that takes.

    A call that ends UNAVAILABLE, or is told to come again, is made again from where it broke off, at most `retries`
    times without news in between.
    The first call is not: a server that never answered is the caller's to judge.
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
        """Ends when the order has finished and nothing is being mailed. A change may come twice after a break."""
        complete, newest, finished = after_revision, after_revision, False
        began, failures = False, 0
        broken: TryAgain
        while True:
            try:
                for message in self._call(complete):
                    # One revision may come in several messages (1,000 images each), so it is known to be complete
                    # only when a later one follows: resuming after the newest could leave out the rest of it.
                    if message.order.revision > newest:
                        complete, newest = newest, message.order.revision
                        failures = 0
                    began, finished = True, message.order.state in FINISHED
                    yield message
                if finished:
                    return
                broken = ServerUnavailable(f"the server at {self._server} ended the watch before the order finished")
            except TryAgain as error:
                # After a restart all watchers come back at once, and some are sent away for a moment.
                if not isinstance(error, ServerUnavailable) and error.retry_after is None:
                    raise
                broken = error
            failures += 1
            if not began or failures > self._retries:
                raise broken
            self._sleep(self._pause(failures, broken.retry_after))

    def _call(self, after_revision: int) -> Iterator[WatchStatusResponse]:
        request = WatchStatusRequest(order_id=self._order_id, after_revision=after_revision)
        with translated(self._server):
            call = self._stub.WatchStatus(request, timeout=self._time_left())
            try:
                yield from call
            finally:
                call.cancel()  # The caller has seen enough; does nothing to a call that has ended.

    def _time_left(self) -> float | None:
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TryAgain("the order did not finish in time", code=grpc.StatusCode.DEADLINE_EXCEEDED)
        return left

    def _pause(self, failures: int, asked: float | None) -> float:
        pause = min(0.25 * 2 ** (failures - 1), _LONGEST_PAUSE) if asked is None else min(asked, 6 * _LONGEST_PAUSE)
        return pause if self._deadline is None else max(0.0, min(pause, self._deadline - time.monotonic()))
