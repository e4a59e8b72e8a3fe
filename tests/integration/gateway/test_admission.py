"""Who is let in: decided before a message is read, by calls of a class and by bytes in flight."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from imageblur.v1 import blur_service_pb2 as pb

from services.common.db.engine import Database
from services.gateway import admission, blur_servicer, budget, reading
from services.gateway.budget import Budget
from services.gateway.settings import MIB, GatewaySettings
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.gateway.test_orders import HEADER, assert_nothing_left, details, fields, order, refused
from tests.support.http2 import CrawlingCall
from tests.support.waiting import eventually

SERVICE = "/imageblur.v1.BlurService/"
ANY = pb.StatusRequest(order_id=str(uuid4())).SerializeToString()


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """What is let in does not depend on the database."""
    return f"sqlite:///{tmp_path}/imageblur.db"


@pytest.fixture
def roomy(settings: GatewaySettings) -> GatewaySettings:
    """Room for three large messages (of at most 18 MiB as gRPC sees it) at a time, not for four."""
    return settings.model_copy(
        update={
            "max_message_bytes": 16 * MIB,
            "max_image_bytes": 16 * MIB,
            "max_order_bytes": 16 * MIB,
            "max_bytes_in_flight": 64 * MIB,
        }
    )


@pytest.fixture
def budgets(monkeypatch: pytest.MonkeyPatch) -> list["Watched"]:
    """The budgets of the gateways that are started: first the small, then the large."""
    made: list[Watched] = []

    def make(capacity: int) -> Watched:
        made.append(Watched(capacity))
        return made[-1]

    monkeypatch.setattr(admission, "Budget", make)
    return made


class Watched(Budget):
    peak = 0

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "reserved":
            super().__setattr__("peak", max(self.peak, value))


@contextmanager
def half_open(gateway: Gateway, method: str, *messages: bytes) -> Iterator[Callable[[], grpc.RpcError]]:
    """A call that sends these messages and then nothing; hands out how to wait for its end."""
    ended = threading.Event()

    def stall() -> Iterator[bytes]:
        yield from messages
        ended.wait()

    call: Any = gateway.channel.stream_unary(SERVICE + method)
    future = call.future(stall(), timeout=60)
    try:
        yield future.exception
    finally:
        ended.set()
        future.cancel()


def reason(error: grpc.RpcError) -> str:
    return str(details(error, error_details_pb2.ErrorInfo).reason)  # type: ignore[attr-defined]


def large(size: int) -> pb.BlurOrderRequest:
    return pb.BlurOrderRequest(order=HEADER, images=[pb.InputImage(filename="a.jpg", data=bytes(size))])


@pytest.mark.parametrize("method", ["Status", "BlurOrder", "WatchStatus", "DownloadImages"])
@pytest.mark.parametrize(("count", "says"), [(0, "is missing"), (2, "must be the only one of its call")])
def test_a_call_has_exactly_one_message(gateway: Gateway, method: str, count: int, says: str) -> None:
    call: Any = gateway.channel.stream_unary(SERVICE + method)
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, call, iter([ANY] * count))
    assert fields(error) == {"message": says}


def test_a_small_message_is_small(gateway: Gateway) -> None:
    request = pb.StatusRequest(order_id="x" * 100_000)
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.Status, request)
    assert fields(error) == {"message": "is larger than 65536 bytes"}


@pytest.mark.parametrize(
    ("limit", "method", "subject"),
    [
        ("MAX_CALLS", "Status", "calls"),
        ("MAX_CALLS", "BlurOrder", "calls"),
        ("MAX_UPLOADS", "StreamBlurOrder", "uploads"),
        ("MAX_DOWNLOADS", "DownloadImages", "downloads"),
    ],
)
def test_each_class_has_its_limit(
    settings: GatewaySettings, monkeypatch: pytest.MonkeyPatch, limit: str, method: str, subject: str
) -> None:
    monkeypatch.setattr(admission, limit, 2)
    with running(settings) as gateway:
        call: Any = gateway.channel.stream_unary(SERVICE + method)

        def answer() -> grpc.RpcError:
            with pytest.raises(grpc.RpcError) as caught:
                call(iter([ANY]))
            return caught.value

        with half_open(gateway, method), half_open(gateway, method):
            eventually(lambda: answer().code() is grpc.StatusCode.RESOURCE_EXHAUSTED)
            error = answer()
            assert reason(error) == "TOO_MANY_CALLS"
            quota = details(error, error_details_pb2.QuotaFailure)
            assert [violation.subject for violation in quota.violations] == [subject]  # type: ignore[attr-defined]
            assert details(error, error_details_pb2.RetryInfo).retry_delay.seconds == 2  # type: ignore[attr-defined]
            # The other classes, health and reflection go on.
            if method != "Status" and subject != "calls":
                refused(grpc.StatusCode.NOT_FOUND, gateway.blur.Status, pb.StatusRequest(order_id=str(uuid4())))
            health = health_pb2_grpc.HealthStub(gateway.channel)
            assert health.Check(health_pb2.HealthCheckRequest()).status  # type: ignore[attr-defined]
            assert ProtoReflectionDescriptorDatabase(gateway.channel).get_services()
        eventually(lambda: answer().code() is not grpc.StatusCode.RESOURCE_EXHAUSTED)


def test_watches_have_their_limit_and_give_their_places_back(settings: GatewaySettings) -> None:
    with running(settings.model_copy(update={"max_watches": 2})) as gateway:
        request = pb.WatchStatusRequest(order_id=order(gateway).order_id)
        watches = [gateway.blur.WatchStatus(request) for _ in range(2)]
        for watch in watches:
            next(watch)
        error = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda r: next(gateway.blur.WatchStatus(r)), request)
        assert reason(error) == "TOO_MANY_CALLS"
        watches[0].cancel()

        def again() -> bool:
            try:
                return bool(next(gateway.blur.WatchStatus(request)))
            except grpc.RpcError:
                return False

        eventually(again)


def test_large_messages_never_take_more_than_their_budget(roomy: GatewaySettings, budgets: list[Watched]) -> None:
    with running(roomy) as gateway, ThreadPoolExecutor(8) as threads:
        request = large(16 * MIB - 1000)
        answers = [threads.submit(gateway.blur.BlurOrder, request) for _ in range(8)]
        errors = [answer.exception() for answer in answers]
        assert {error.code() for error in errors if isinstance(error, grpc.RpcError)} <= {
            grpc.StatusCode.RESOURCE_EXHAUSTED
        }
        assert None in errors
        small, budget_of_large = budgets
        assert 2 * 18 * MIB <= budget_of_large.peak <= budget_of_large.capacity == 56 * MIB
        eventually(lambda: small.reserved == budget_of_large.reserved == 0)


def test_crawling_messages_hold_up_large_ones_only_and_not_for_long(
    roomy: GatewaySettings, budgets: list[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(admission, "LARGE_SECONDS", 4.0)
    with running(roomy) as gateway, ExitStack() as stack:
        crawling = [stack.enter_context(CrawlingCall(gateway.port, f"{SERVICE}BlurOrder", 16 * MIB)) for _ in range(2)]
        stalled = stack.enter_context(half_open(gateway, "BlurOrder"))
        eventually(lambda: budgets[1].reserved == 3 * 18 * MIB)
        for _ in range(20):
            for call in crawling:
                call.crawl()
            begin = time.monotonic()
            refused(grpc.StatusCode.NOT_FOUND, gateway.blur.Status, pb.StatusRequest(order_id=str(uuid4())))
            assert time.monotonic() - begin < 1
        error = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, gateway.blur.BlurOrder, large(1000))
        assert reason(error) == "BYTES_IN_FLIGHT"
        assert details(error, error_details_pb2.RetryInfo).retry_delay.seconds == 2  # type: ignore[attr-defined]
        error = stalled()
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "did not arrive within 4 seconds" in (error.details() or "")
        assert reason(error) == "STALLED"
        eventually(lambda: budgets[1].reserved == 0)
        assert gateway.blur.BlurOrder(large(1000)).order.order_id


def test_a_message_that_is_refused_goes_with_its_call(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    class Taken(list[Any]):
        """A list that can be watched."""

    taken: list[weakref.ref[Taken]] = []
    take_images = blur_servicer._take_images

    def watched(*arguments: Any) -> Taken:
        images = Taken(take_images(*arguments))
        taken.append(weakref.ref(images))
        return images

    monkeypatch.setattr(blur_servicer, "_take_images", watched)
    request = large(1000)
    request.order.email = "nobody"
    gc.disable()
    try:
        refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, request)
        eventually(lambda: taken[0]() is None, within=3)
    finally:
        gc.enable()


def test_a_call_that_goes_away_gives_back_what_it_held(roomy: GatewaySettings, budgets: list[Watched]) -> None:
    with running(roomy) as gateway:
        with half_open(gateway, "BlurOrder"), half_open(gateway, "StreamBlurOrder"), half_open(gateway, "Status"):
            eventually(lambda: all(budget.reserved for budget in budgets))
        eventually(lambda: not any(budget.reserved for budget in budgets))


def test_a_stalled_upload_is_ended_and_leaves_nothing(
    gateway: Gateway, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "IDLE_SECONDS", 0.5)
    start = pb.StreamBlurOrderRequest(start=pb.OrderStart(order=HEADER, image_count=1))
    image = pb.StreamBlurOrderRequest(image=pb.ImageStart(filename="a.jpg"))
    chunk = pb.StreamBlurOrderRequest(chunk=b"half of it")
    messages = [part.SerializeToString() for part in (start, image, chunk)]
    with half_open(gateway, "StreamBlurOrder", *messages) as end:
        error = end()
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "nothing came for 0.5 seconds" in (error.details() or "")
    assert_nothing_left(gateway, database)


def test_an_upload_has_to_begin_soon(settings: GatewaySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "SMALL_SECONDS", 0.5)
    with running(settings) as gateway, half_open(gateway, "StreamBlurOrder") as end:
        assert end().code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_uploads_leave_room_for_a_message(settings: GatewaySettings) -> None:
    for budget_bytes, uploads in ((256 * MIB, 26), (64 * MIB, 2)):
        limits = settings.model_copy(
            update={"max_message_bytes": 32 * MIB, "max_bytes_in_flight": budget_bytes, "max_watches": 7}
        )
        let_in = admission.Admission(limits, upload_bytes=7 * MIB)
        assert let_in.terms("StreamBlurOrder").calls.limit == uploads
        assert let_in.most_calls == admission.MAX_CALLS + admission.MAX_DOWNLOADS + 7 + uploads
