"""Who is let in: decided before a message is read, by calls of a class and by bytes in flight."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from imageblur.v1 import blur_service_pb2 as pb

from services.common.db.engine import Database
from services.gateway.orders.messages import requests
from services.gateway.orders.messages.requests import ParsedImage
from services.gateway.rpc.limits import admission, byte_budget
from services.gateway.rpc.limits.admission import CallLimit
from services.gateway.rpc.limits.byte_budget import ByteBudget
from services.gateway.settings import MIB, GatewaySettings
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.gateway.test_orders import HEADER, assert_nothing_left, details, fields, order, refused
from tests.support.http2 import CrawlingCall
from tests.support.waiting import eventually

SERVICE = "/imageblur.v1.BlurService/"
HEALTH = "/grpc.health.v1.Health/"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/"
LARGEST = 4 * MIB + MIB // 2
ANY = pb.StatusRequest(order_id=str(uuid4())).SerializeToString()


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is let in does not depend on the database."""
    return sqlite_url


@pytest.fixture
def roomy(settings: GatewaySettings) -> GatewaySettings:
    """Room for three large messages (of at most 4.5 MiB as gRPC sees it) at a time, not for four."""
    return settings.model_copy(
        update={
            "max_message_bytes": 4 * MIB,
            "max_image_bytes": 4 * MIB,
            "max_order_bytes": 4 * MIB,
            "max_bytes_in_flight": 56 * MIB,
        }
    )


@pytest.fixture
def budgets(monkeypatch: pytest.MonkeyPatch) -> list["Watched"]:
    """The budgets of the gateways that are started: for health, reflection, small messages and large ones."""
    made: list[Watched] = []

    def make(capacity: int, **shares: int) -> Watched:
        budget = Watched(capacity, **shares)
        if len(made) < 4:  # then the share of the large ones that instant calls may have
            made.append(budget)
        return budget

    monkeypatch.setattr(admission, "ByteBudget", make)
    return made


class Watched(ByteBudget):
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


def health(gateway: Gateway) -> Any:
    return health_pb2_grpc.HealthStub(gateway.channel)


def assert_given_back(budgets: list[Watched]) -> None:
    eventually(lambda: not any(budget.reserved for budget in budgets))


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
    classes: list[admission.CallLimit] = []

    def make(name: str, limit: int) -> CallLimit:
        classes.append(CallLimit(name, limit))
        return classes[-1]

    monkeypatch.setattr(admission, "CallLimit", make)
    with running(settings) as gateway:
        call: Any = gateway.channel.stream_unary(SERVICE + method)

        def answer() -> grpc.RpcError:
            with pytest.raises(grpc.RpcError) as caught:
                call(iter([ANY]))
            return caught.value

        with half_open(gateway, method), half_open(gateway, method):
            # Not by asking: an answer on its way takes a place, too.
            eventually(lambda: [calls.running for calls in classes if calls.name == subject] == [2])
            error = answer()
            assert reason(error) == "TOO_MANY_CALLS"
            quota = details(error, error_details_pb2.QuotaFailure)
            assert [violation.subject for violation in quota.violations] == [subject]  # type: ignore[attr-defined]
            assert details(error, error_details_pb2.RetryInfo).retry_delay.seconds == 2  # type: ignore[attr-defined]
            # The other classes, health and reflection go on.
            if method != "Status" and subject != "calls":
                refused(grpc.StatusCode.NOT_FOUND, gateway.blur.Status, pb.StatusRequest(order_id=str(uuid4())))
            assert health(gateway).Check(health_pb2.HealthCheckRequest()).status
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
        request = large(4 * MIB - 1000)
        answers = [threads.submit(gateway.blur.BlurOrder, request) for _ in range(8)]
        errors = [answer.exception() for answer in answers]
        assert {error.code() for error in errors if isinstance(error, grpc.RpcError)} <= {
            grpc.StatusCode.RESOURCE_EXHAUSTED
        }
        assert None in errors
        budget_of_large = budgets[-1]
        assert 2 * LARGEST <= budget_of_large.peak <= budget_of_large.capacity == 15 * MIB
        assert_given_back(budgets)


def flood(gateway: Gateway, method: str, size: int) -> list[grpc.RpcError]:
    """Answers to 16 calls at once, each with a message of so many bytes."""
    call: Any = gateway.channel.stream_unary(method)
    with ThreadPoolExecutor(16) as threads:
        answers = [threads.submit(call, iter([bytes(size)]), timeout=60) for _ in range(16)]
        errors = [answer.exception() for answer in answers]
    assert all(isinstance(error, grpc.RpcError) for error in errors)
    return errors  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("method", "index"),
    [
        (f"{HEALTH}Check", 0),
        (f"{HEALTH}Watch", 0),
        (f"{REFLECTION}ServerReflectionInfo", 1),
        (f"{SERVICE}Status", 2),
        (f"{SERVICE}WatchStatus", 2),
        (f"{SERVICE}DownloadImages", 2),
        (f"{SERVICE}StreamBlurOrder", 3),
    ],
)
def test_what_breaks_the_word_of_a_small_method_is_counted_as_the_large_message_it_is(
    roomy: GatewaySettings, budgets: list[Watched], method: str, index: int
) -> None:
    with running(roomy) as gateway:
        errors = flood(gateway, method, 4 * MIB)
        expected = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert grpc.StatusCode.INVALID_ARGUMENT in {error.code() for error in errors} <= expected
        assert LARGEST <= budgets[index].peak <= budgets[index].capacity
        assert [other.peak for other in budgets if other is not budgets[index]] == [0, 0, 0]
        assert_given_back(budgets)
        assert health(gateway).Check(health_pb2.HealthCheckRequest()).status


def test_health_is_told_while_everything_else_is_held_up(roomy: GatewaySettings, budgets: list[Watched]) -> None:
    with running(roomy) as gateway, ExitStack() as stack:
        for method in ("Status",) * 3 + ("BlurOrder",) * 3:
            stack.enter_context(half_open(gateway, method))
        # One caller may hold one small message of the three.
        eventually(lambda: (budgets[2].reserved, budgets[3].reserved) == (LARGEST, 3 * LARGEST))
        assert health(gateway).Check(health_pb2.HealthCheckRequest(), timeout=20).status
        with pytest.raises(grpc.RpcError) as caught:
            health(gateway).Check(health_pb2.HealthCheckRequest(service="nobody"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        watch = health(gateway).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status
        watch.cancel()
        assert ProtoReflectionDescriptorDatabase(gateway.channel).get_services()


def test_stalled_calls_of_one_caller_leave_room_for_others(roomy: GatewaySettings) -> None:
    order_id = str(uuid4())
    with running(roomy) as gateway, ExitStack() as stack:
        for _ in range(8):
            call = CrawlingCall(gateway.port, f"{SERVICE}Status", 1000, source="127.0.0.2")
            stack.enter_context(call)
        begin = time.monotonic()
        for _ in range(5):
            refused(grpc.StatusCode.NOT_FOUND, gateway.blur.Status, pb.StatusRequest(order_id=order_id))
        assert time.monotonic() - begin < 10, "it waited for the bytes of the stalled calls"


def test_a_reflection_that_asks_nothing_more_is_ended(
    roomy: GatewaySettings, budgets: list[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "SMALL_IDLE_SECONDS", 0.5)
    asked = threading.Event()

    def ask() -> Iterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        asked.wait()

    with running(roomy) as gateway:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(gateway.channel)
        answers = stub.ServerReflectionInfo(ask())
        assert next(answers).list_services_response.service
        with pytest.raises(grpc.RpcError) as caught:
            next(answers)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        asked.set()
        assert_given_back(budgets)


def test_crawling_messages_hold_up_large_ones_only(
    roomy: GatewaySettings, budgets: list[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(byte_budget, "WAIT_SECONDS", 0.3)
    with running(roomy) as gateway, ExitStack() as stack:
        crawling = [stack.enter_context(CrawlingCall(gateway.port, f"{SERVICE}BlurOrder", 4 * MIB)) for _ in range(2)]
        stack.enter_context(half_open(gateway, "BlurOrder"))
        eventually(lambda: budgets[-1].reserved == 3 * LARGEST)
        for _ in range(5):
            for call in crawling:
                call.crawl()
            refused(grpc.StatusCode.NOT_FOUND, gateway.blur.Status, pb.StatusRequest(order_id=str(uuid4())))
        assert budgets[-1].reserved == 3 * LARGEST, "none of these waited until the large ones were ended"
        error = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, gateway.blur.BlurOrder, large(1000))
        assert reason(error) == "BYTES_IN_FLIGHT"
        assert details(error, error_details_pb2.RetryInfo).retry_delay.seconds == 2  # type: ignore[attr-defined]


def test_crawling_messages_are_ended_and_make_room(
    roomy: GatewaySettings, budgets: list[Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "LARGE_SECONDS", 4.0)
    with running(roomy) as gateway, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(CrawlingCall(gateway.port, f"{SERVICE}BlurOrder", 4 * MIB))
        error = stack.enter_context(half_open(gateway, "BlurOrder"))()
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "was not received within 4 seconds" in (error.details() or "")
        assert reason(error) == "READ_TIMEOUT"
        eventually(lambda: budgets[-1].reserved == 0)
        assert gateway.blur.BlurOrder(large(1000)).order.order_id


def test_a_message_that_is_refused_goes_with_its_call(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[weakref.ref[ParsedImage]] = []

    def watched(**fields: Any) -> ParsedImage:
        image = ParsedImage(**fields)
        parsed.append(weakref.ref(image))
        return image

    monkeypatch.setattr(requests, "ParsedImage", watched)
    request = large(1000)
    request.order.email = "nobody"
    gc.disable()
    try:
        refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, request)
        eventually(lambda: parsed[0]() is None)
    finally:
        gc.enable()


def test_a_call_that_goes_away_gives_back_what_it_held(roomy: GatewaySettings, budgets: list[Watched]) -> None:
    with running(roomy) as gateway:
        with half_open(gateway, "BlurOrder"), half_open(gateway, "StreamBlurOrder"), half_open(gateway, "Status"):
            eventually(lambda: all(budget.reserved for budget in budgets[2:]))
        assert_given_back(budgets)


def test_a_stalled_upload_is_ended_and_leaves_nothing(
    settings: GatewaySettings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "IDLE_SECONDS", 0.5)
    start = pb.StreamBlurOrderRequest(start=pb.OrderStart(order=HEADER, image_count=1))
    image = pb.StreamBlurOrderRequest(image=pb.ImageStart(filename="a.jpg"))
    chunk = pb.StreamBlurOrderRequest(chunk=b"half of it")
    messages = [part.SerializeToString() for part in (start, image, chunk)]
    with running(settings) as gateway:
        with half_open(gateway, "StreamBlurOrder", *messages) as end:
            error = end()
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "nothing was received for 0.5 seconds" in (error.details() or "")
        assert_nothing_left(gateway, database)


def test_an_upload_has_to_begin_soon(settings: GatewaySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "START_SECONDS", 0.5)
    with running(settings) as gateway, half_open(gateway, "StreamBlurOrder") as end:
        assert end().code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_uploads_leave_room_for_a_message(settings: GatewaySettings) -> None:
    for message_bytes, budget_bytes, uploads in ((8 * MIB, 256 * MIB, 14), (4 * MIB, 64 * MIB, 2)):
        update = {"max_message_bytes": message_bytes, "max_bytes_in_flight": budget_bytes, "max_watches": 7}
        let_in = admission.Admission(settings.model_copy(update=update), upload_bytes=7 * MIB)
        assert let_in.policy("StreamBlurOrder").calls.limit == uploads
        assert let_in.max_calls == (
            admission.MAX_CALLS
            + admission.MAX_DOWNLOADS
            + admission.MAX_IMPORTS
            + 3 * admission.MAX_PROBES
            + 2 * settings.max_instant_calls
            + 7
            + uploads
        )
