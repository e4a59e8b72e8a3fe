from collections.abc import Iterator
from typing import Any, cast

import grpc
import pytest
from imageblur.v1.blur_service_pb2 import WatchStatusRequest, WatchStatusResponse
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.order_pb2 import Order, OrderState
from imageblur_client.errors import ServerUnavailableError
from imageblur_client.watch import WatchProgress, watch_changes


class _Lost(grpc.RpcError):
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "Socket closed"

    def trailing_metadata(self) -> Any:
        return ()


class _Call:
    def __init__(self, revisions: list[int]) -> None:
        self._revisions = revisions
        self.cancelled = False

    def __iter__(self) -> Iterator[WatchStatusResponse]:
        for revision in self._revisions:
            state = OrderState.ORDER_STATE_SUCCEEDED if revision == 99 else OrderState.ORDER_STATE_RUNNING
            yield WatchStatusResponse(order=Order(revision=revision, state=state))
        if self._revisions[-1:] != [99]:
            raise _Lost

    def cancel(self) -> None:
        self.cancelled = True


class _Stub:
    def __init__(self, *calls: list[int]) -> None:
        self._calls = iter(calls)
        self.asked: list[int] = []

    def WatchStatus(self, request: WatchStatusRequest, timeout: float | None) -> _Call:  # noqa: ARG002, N802
        self.asked.append(request.after_revision)
        return _Call(next(self._calls))


def _watch(stub: _Stub, pauses: list[float], after: int = 0, retries: int = 8) -> list[WatchStatusResponse]:
    progress = WatchProgress("id", after, server="here:1", timeout=None, retries=retries)
    return list(watch_changes(cast("BlurServiceStub", stub), progress, server="here:1", sleep=pauses.append))


def test_it_resumes_after_the_last_revision_that_is_known_to_be_complete() -> None:
    stub, pauses = _Stub([3, 3, 7, 7], [], [7, 8], [99]), list[float]()

    changes = _watch(stub, pauses, 2)

    assert [change.order.revision for change in changes] == [3, 3, 7, 7, 7, 8, 99]
    assert stub.asked == [2, 3, 3, 7]


def test_pauses_grow_until_there_is_news() -> None:
    stub, pauses = _Stub([1], [1], [], [], [], [], [], [2], [99]), list[float]()

    _watch(stub, pauses)

    assert pauses == [0.25, 0.5, 1, 2, 4, 5, 5, 0.25]


def test_it_gives_up_without_news() -> None:
    stub, pauses = _Stub([1], [1], [1], [1]), list[float]()

    with pytest.raises(ServerUnavailableError, match="lost the connection to the server at here:1"):
        _watch(stub, pauses, retries=2)
    assert len(stub.asked) == 3
