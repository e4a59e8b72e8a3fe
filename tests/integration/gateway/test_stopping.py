"""A gateway that stops: what it can finish it finishes, everybody else is told to try again."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub

from services.common.db.engine import Database
from services.common.db.models import UnownedBlobs
from services.gateway import server
from services.gateway.orders.reading.watch_hub import WatchHub
from services.gateway.rpc.interceptors import CallInterceptor
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import running
from tests.integration.gateway.test_orders import HEADER, assert_nothing_left
from tests.support.waiting import eventually


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """How it stops does not depend on the database."""
    return sqlite_url


@pytest.mark.parametrize("halted_seconds", [0, 2])
def test_calls_that_cannot_be_finished_are_answered_unavailable(
    settings: GatewaySettings, database: Database, monkeypatch: pytest.MonkeyPatch, halted_seconds: float
) -> None:
    monkeypatch.setattr(server, "GRACE_SECONDS", 0.5)
    if halted_seconds:  # the process is stopped, or gets no processor time, beyond all times that it knows
        monkeypatch.setattr(server, "RESPONSE_SECONDS", 1)
        stop = CallInterceptor.stop

        async def halt_and_stop(interceptor: CallInterceptor, grace_seconds: float) -> None:
            asyncio.get_running_loop().call_later(0.2, time.sleep, halted_seconds)
            await stop(interceptor, grace_seconds)

        monkeypatch.setattr(CallInterceptor, "stop", halt_and_stop)
    never = threading.Event()

    def uploads() -> list[UnownedBlobs]:
        with database.read() as session:
            return session.query(UnownedBlobs).all()

    def half() -> Iterator[pb.StreamBlurOrderRequest]:
        yield pb.StreamBlurOrderRequest(start=pb.OrderStart(order=HEADER, image_count=1))
        yield pb.StreamBlurOrderRequest(image=pb.ImageStart(filename="a.jpg"))
        yield pb.StreamBlurOrderRequest(chunk=bytes(1000))
        never.wait()

    told: list[int] = []

    def watch(stub: Any) -> None:
        told.extend(answer.status for answer in stub.Watch(health_pb2.HealthCheckRequest()))

    with ThreadPoolExecutor() as threads, ExitStack() as until_answered:
        with running(settings) as gateway:
            # Of its own: the other one is closed when the gateway has ended, whether the answers have come or not.
            channel = until_answered.enter_context(grpc.insecure_channel(f"127.0.0.1:{gateway.port}"))
            blur: Any = BlurServiceStub(channel)
            upload = blur.StreamBlurOrder.future(half())
            health = threads.submit(watch, health_pb2_grpc.HealthStub(channel))
            eventually(lambda: uploads() and told)
        errors: list[Any] = [call.exception(timeout=20) for call in (upload, health)]
        never.set()
    assert told == [health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING]
    for error in errors:
        assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "the server is stopping; try again")
    assert_nothing_left(gateway, database)


def test_calls_under_way_are_finished(settings: GatewaySettings) -> None:
    half_sent, stopping = threading.Event(), threading.Event()
    request = pb.StatusRequest(order_id=str(uuid4())).SerializeToString()

    def slowly() -> Iterator[bytes]:
        half_sent.set()
        stopping.wait()
        yield request

    with ExitStack() as channels:
        with running(settings) as gateway:
            # Of its own: that of the gateway is closed with it, maybe before the answer has been read.
            channel = channels.enter_context(grpc.insecure_channel(f"127.0.0.1:{gateway.port}"))
            status: Any = channel.stream_unary("/imageblur.v1.BlurService/Status")
            call = status.future(slowly())
            half_sent.wait()
            # On the same connection: once this is answered, the gateway knows of the other call.
            BlurServiceStub(channel).GetLimits(pb.GetLimitsRequest())
            threading.Timer(1, stopping.set).start()
        error = call.exception(timeout=30)
    assert error.code() is grpc.StatusCode.NOT_FOUND


def test_calls_that_have_not_begun_are_answered(settings: GatewaySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    stop = WatchHub.stop

    async def stop_without_processor_time(hub: WatchHub) -> None:
        await stop(hub)
        calls.extend(blur.GetLimits.future(pb.GetLimitsRequest(), timeout=30) for _ in range(20))
        time.sleep(1)  # noqa: ASYNC251 - they arrive, and the gateway cannot begin them

    monkeypatch.setattr(WatchHub, "stop", stop_without_processor_time)
    with ExitStack() as channels:
        with running(settings) as gateway:
            channel = channels.enter_context(grpc.insecure_channel(f"127.0.0.1:{gateway.port}"))
            blur: Any = BlurServiceStub(channel)
            blur.GetLimits(pb.GetLimitsRequest())
        errors = [call.exception(timeout=30) for call in calls]
    assert errors == [None] * 20
