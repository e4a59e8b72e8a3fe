"""What strangers may try at the gateway: see the table in SECURITY.md."""

import asyncio
import contextlib
import itertools
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc import aio
from grpc_health.v1 import health_pb2
from grpc_status import rpc_status
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub

from services.gateway.instant import calls
from services.gateway.operator import operator_jobs
from services.gateway.orders.reading.order_reader import OrderReader
from services.gateway.rpc import grpc_server
from services.gateway.rpc.interceptors import CallInterceptor
from services.gateway.rpc.limits import resets
from services.gateway.rpc.limits.admission import MAX_UPLOADS
from services.gateway.server import SERVICES
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.gateway.test_orders import order
from tests.support.http2 import REFUSED_STREAM, called_streams, opened_streams, reset, reset_streams
from tests.support.messages import messages
from tests.support.waiting import eventually

METHODS: list[MethodDescriptor] = [
    method for service in SERVICES for method in Default().FindServiceByName(service).methods
]
FAULTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.CANCELLED}
STATUS = "/imageblur.v1.BlurService/Status"
SECONDS = 5.0
OPEN_STREAMS = 1_000
BURST = 4_000
"""Calls at once; gRPC itself keeps 3,000 by default and ends others without a reason."""

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What an attack never reaches need not be attacked on both."""
_fuzz = hypothesis_settings(
    max_examples=25,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


def call(gateway: Gateway, method: MethodDescriptor, requests: list[Message]) -> grpc.StatusCode:
    """Call a method with as many messages as there are; its code. A stream of answers is left after a few."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    parse = GetMessageClass(method.output_type).FromString
    multicallable: Any = gateway.channel.stream_stream(
        path, request_serializer=lambda message: message.SerializeToString(), response_deserializer=parse
    )
    answers = multicallable(iter(requests), timeout=SECONDS)
    try:
        for _ in itertools.islice(answers, 5):
            if method.server_streaming:
                break
        else:
            return grpc.StatusCode.OK
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    answers.cancel()
    return grpc.StatusCode.OK


@pytest.fixture(autouse=True)
def _no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """None runs here: calls that ask something of one do not wait for long."""
    monkeypatch.setattr(operator_jobs, "START_SECONDS", 0.05)
    monkeypatch.setattr(calls, "TAKE_SECONDS", 0.05)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_no_message_is_a_fault_of_ours(gateway: Gateway, method: MethodDescriptor) -> None:
    order_id = order(gateway).order_id
    known: dict[str, st.SearchStrategy[Any]] = {
        "order_id": st.sampled_from([order_id, str(uuid.uuid4())]),
        "email": st.just("someone@example.org"),
        "image_count": st.integers(1, 2),
        "request_id": st.uuids().map(str),
        "image_ids": st.uuids().map(str),
    }
    one = messages(method.input_type, known)

    @_fuzz
    @given(st.lists(one, max_size=4) if method.client_streaming else st.lists(one, min_size=1, max_size=1))
    def attack(requests: list[Message]) -> None:
        assert call(gateway, method, requests) not in FAULTS

    attack()
    assert order(gateway).order_id, "the gateway does not take orders any more"


@on_sqlite
def test_half_open_streams_hold_up_nobody(gateway: Gateway) -> None:
    address = f"127.0.0.1:{gateway.port}"
    known = order(gateway).order_id

    async def attack() -> list[grpc.StatusCode]:
        async with aio.insecure_channel(address) as attacker, aio.insecure_channel(address) as victim:
            begin = attacker.stream_unary(
                "/imageblur.v1.BlurService/StreamBlurOrder", request_serializer=bytes, response_deserializer=bytes
            )
            calls = [begin() for _ in range(OPEN_STREAMS)]
            refused = asyncio.gather(*(each.code() for each in calls[MAX_UPLOADS:]))
            await asyncio.wait_for(calls[-1].code(), 60)
            status = await BlurServiceStub(victim).Status(pb.StatusRequest(order_id=known), timeout=20)
            assert status.order.order_id == known
            check = victim.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            health = await check(health_pb2.HealthCheckRequest(), timeout=20)
            assert health.status == health_pb2.HealthCheckResponse.SERVING
            codes = await asyncio.wait_for(refused, 60)
            for each in calls:
                each.cancel()
            return codes

    codes = asyncio.run(attack())
    # Some may have got the place of one that was ended because nothing came.
    assert grpc.StatusCode.RESOURCE_EXHAUSTED in codes
    assert set(codes) <= {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED}
    # The places are free again, as soon as the gateway has heard that their calls are cancelled.
    header = pb.OrderHeader(email="later@example.org")
    parts = [
        pb.StreamBlurOrderRequest(start=pb.OrderStart(order=header, image_count=1)),
        pb.StreamBlurOrderRequest(image=pb.ImageStart(filename="a.jpg")),
        pb.StreamBlurOrderRequest(chunk=b"data"),
    ]

    def order_id() -> str:
        try:
            return gateway.blur.StreamBlurOrder(iter(parts), timeout=30).order.order_id
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                return ""
            raise

    assert eventually(order_id)


@on_sqlite
def test_thousands_of_calls_at_once_are_answered_or_told_why_not(gateway: Gateway) -> None:
    known = order(gateway).order_id

    async def burst(connections: int) -> list[aio.AioRpcError]:
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [aio.insecure_channel(f"127.0.0.1:{gateway.port}", options) for _ in range(connections)]
        calls = [
            BlurServiceStub(channels[number % connections]).Status(pb.StatusRequest(order_id=known), timeout=60)
            for number in range(BURST)
        ]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        for channel in channels:
            await channel.close()
        return [answer for answer in answers if isinstance(answer, aio.AioRpcError)]

    for connections in (1, 50):
        refusals = asyncio.run(burst(connections))
        assert {refusal.code() for refusal in refusals} <= {grpc.StatusCode.RESOURCE_EXHAUSTED}
        for refusal in refusals:
            status = rpc_status.from_call(refusal)  # type: ignore[arg-type] # it has what a Call has
            assert status, refusal
            assert {detail.type_url.rpartition(".")[2] for detail in status.details} >= {"ErrorInfo", "RetryInfo"}


@on_sqlite
@pytest.mark.parametrize("attack", [opened_streams, reset_streams])
def test_thousands_of_streams_delay_nobody_else(gateway: Gateway, attack: Callable[[str, int], bytes]) -> None:
    known = order(gateway).order_id
    sent = attack(STATUS, 5_000)
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), 20, ("127.0.0.2", 0)))
            for _ in range(4)
        ]
        for each in sockets:
            each.settimeout(2)
            with contextlib.suppress(TimeoutError, ConnectionError):  # the gateway may end the connection
                each.sendall(sent)
        for _ in range(20):
            assert gateway.blur.Status(pb.StatusRequest(order_id=known), timeout=20).order.order_id == known
        assert health(gateway) == health_pb2.HealthCheckResponse.SERVING


@on_sqlite
def test_waiting_calls_of_one_caller_are_overtaken(settings: GatewaySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings.model_copy(update={"gateway_threads": 4})
    read, running_calls, go = OrderReader.status, threading.Semaphore(0), threading.Event()

    def status(reader: OrderReader, order_id: uuid.UUID) -> Any:
        if str(order_id) == theirs:
            running_calls.release()
            assert go.wait(60)
        return read(reader, order_id)

    with running(settings) as gateway:
        theirs, ours = order(gateway).order_id, order(gateway).order_id
        monkeypatch.setattr(OrderReader, "status", status)
        sent = called_streams(STATUS, 90, pb.StatusRequest(order_id=theirs).SerializeToString())
        with socket.create_connection(("127.0.0.1", gateway.port), 20, ("127.0.0.2", 0)) as attacker:
            attacker.sendall(sent)
            try:
                for _ in range(3):
                    assert running_calls.acquire(timeout=60)
                assert gateway.blur.Status(pb.StatusRequest(order_id=ours), timeout=60).order.order_id == ours
                assert not running_calls.acquire(blocking=False), "a caller leaves a quarter of the turns to others"
            finally:
                go.set()


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many calls the gateway has begun."""
    begun: Counter[str] = Counter()
    intercept = CallInterceptor.intercept_service

    async def count(*args: Any) -> Any:
        begun["calls"] += 1
        return await intercept(*args)

    monkeypatch.setattr(CallInterceptor, "intercept_service", count)
    return begun


@on_sqlite
def test_a_connection_has_a_limited_number_of_calls(gateway: Gateway, arrived: Counter[str]) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), 20, ("127.0.0.2", 0)) as attacker:
        attacker.sendall(opened_streams(STATUS, 5_000))
        assert health(gateway) == health_pb2.HealthCheckResponse.SERVING
        assert arrived["calls"] < 1_000, "others can be begun when these have been refused"


@on_sqlite
def test_who_resets_calls_at_once_can_begin_few(
    gateway: Gateway, arrived: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resets, "AT_ONCE_SECONDS", 60.0)
    monkeypatch.setattr(resets, "HOLD_SECONDS", 60.0)
    known = order(gateway).order_id
    with socket.create_connection(("127.0.0.1", gateway.port), 20, ("127.0.0.2", 0)) as attacker:
        attacker.sendall(reset_streams(STATUS, 5_000))
        attacker.settimeout(20)
        refused, data = reset(1, REFUSED_STREAM)[:4], b""
        while data.count(refused) < 4_000:
            data += attacker.recv(1 << 16)
        assert gateway.blur.Status(pb.StatusRequest(order_id=known), timeout=20).order.order_id == known
        assert arrived["calls"] < 1_000, "they are freed at once, and others can be begun"


@on_sqlite
def test_the_newest_of_too_many_connections_are_closed(
    settings: GatewaySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpc_server, "max_connections", lambda: 5)
    with running(settings) as gateway, contextlib.ExitStack() as stack:
        known = order(gateway).order_id  # holds one connection from now on
        address = ("127.0.0.1", gateway.port)
        held = [stack.enter_context(socket.create_connection(address, 20)) for _ in range(4)]
        newest = [stack.enter_context(socket.create_connection(address, 20)) for _ in range(50)]
        assert [connection.recv(100) for connection in newest] == [b""] * 50
        assert gateway.blur.Status(pb.StatusRequest(order_id=known), timeout=20).order.order_id == known
        assert held[0].recv(100), "the settings of HTTP/2"


def health(gateway: Gateway) -> int:
    check: Any = gateway.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    return int(check(health_pb2.HealthCheckRequest(), timeout=20).status)


def test_an_id_tells_nothing_about_another(gateway: Gateway) -> None:
    ids = [uuid.UUID(order(gateway).order_id) for _ in range(20)]
    assert len({i.int >> 96 for i in ids}) == len(ids), "they begin alike"
    assert {i.version for i in ids} == {4}


def test_a_deleted_order_cannot_be_told_from_one_that_never_was(gateway: Gateway) -> None:
    gone = order(gateway).order_id
    gateway.blur.DeleteOrder(pb.DeleteOrderRequest(order_id=gone))
    stranger = str(uuid.uuid4())
    answers = []
    for order_id in (gone, stranger):
        with pytest.raises(grpc.RpcError) as caught:
            gateway.blur.Status(pb.StatusRequest(order_id=order_id))
        answers.append((caught.value.code(), str(caught.value.details()).replace(order_id, "ID")))
    assert answers[0] == answers[1]
    assert answers[0][0] == grpc.StatusCode.NOT_FOUND
