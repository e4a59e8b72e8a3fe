"""What an order needs and may not have: refused before its bytes are taken, soon, and with nothing left behind."""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from uuid import uuid4

import grpc
import psutil
import pytest
import redis
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from imageblur.v1 import blur_service_pb2 as pb
from imageblur_client import Client, RetryableError
from sqlalchemy import event, func, select

from services.common.db.engine import Database
from services.common.db.models import Image, Order, UnownedBlobs
from services.common.db.queues import backlog
from services.common.domain.errors import Unavailable
from services.common.infra.blobs import BlobStore
from services.gateway.orders.placement.broker_check import BrokerCheck
from services.gateway.rpc import thread_pool
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.gateway.limits.test_admission import reason
from tests.integration.gateway.test_orders import (
    HEADER,
    PICTURE,
    assert_nothing_left,
    details,
    fields,
    order,
    parts,
    refused,
)
from tests.support.postgres import PostgresServer
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually

PROMPTLY = 20.0
"""Seconds: less than clients wait. It takes one or two, and several of them on a busy machine."""


@pytest.fixture
def small(settings: GatewaySettings) -> Iterator[Gateway]:
    """A gateway whose queue holds three images."""
    with running(settings.model_copy(update={"max_queued_images": 3})) as gateway:
        yield gateway


def request(count: int = 1, **header: Any) -> pb.BlurOrderRequest:
    return pb.BlurOrderRequest(order=pb.OrderHeader(email="ann@example.org", **header), images=[PICTURE] * count)


def retry_seconds(error: grpc.RpcError) -> float:
    return float(details(error, error_details_pb2.RetryInfo).retry_delay.ToTimedelta().total_seconds())  # type: ignore[attr-defined]


def count(database: Database, table: type[Order] | type[Image]) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def announced(count: int, go_on: threading.Event) -> Iterator[pb.StreamBlurOrderRequest]:
    """A stream that sends its images only when it is told to."""
    begin, *rest = parts(*[("a.jpg", [b"x"])] * count)
    yield begin
    go_on.wait(60)
    yield from rest


def test_a_full_queue_refuses_until_there_is_room(small: Gateway, database: Database) -> None:
    first = small.blur.BlurOrder(request(2)).order
    error = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, small.blur.BlurOrder, request(2))
    assert (reason(error), retry_seconds(error)) == ("QUEUE_FULL", 30)
    assert "holds 3 images; with this order there would be 4" in (error.details() or "")
    quota = details(error, error_details_pb2.QuotaFailure)
    assert [violation.subject for violation in quota.violations] == ["queued images"]  # type: ignore[attr-defined]
    never = threading.Event()
    error = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, small.blur.StreamBlurOrder, announced(2, never))
    assert reason(error) == "QUEUE_FULL"
    never.set()
    assert (count(database, Order), len(small.files())) == (1, 2)
    small.blur.BlurOrder(request(1))
    small.blur.CancelOrder(pb.CancelOrderRequest(order_id=first.order_id))
    small.blur.BlurOrder(request(2))


def test_a_client_in_the_middle_of_a_large_upload_learns_why_and_when_to_come_again(small: Gateway) -> None:
    small.blur.BlurOrder(request(3))
    with Client(f"127.0.0.1:{small.port}") as client, pytest.raises(RetryableError) as caught:
        client.order("ann@example.org", [("a.jpg", bytes(50_000_000))])
    assert (caught.value.reason, caught.value.retry_after) == ("QUEUE_FULL", 30)


def test_an_order_that_no_queue_could_take_is_never_told_to_come_again(small: Gateway) -> None:
    assert small.blur.GetLimits(pb.GetLimitsRequest()).max_images == 3
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, small.blur.BlurOrder, request(4))
    assert fields(error) == {"images": "are more than 3"}
    stream = parts(*[("a.jpg", [b"x"])] * 4)
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, small.blur.StreamBlurOrder, stream)
    assert fields(error) == {"start.image_count": "must be 1 to 3"}


def test_a_repeat_is_answered_though_the_queue_is_full(small: Gateway, database: Database) -> None:
    request_id = str(uuid4())
    first = small.blur.BlurOrder(request(3, request_id=request_id)).order
    again = small.blur.BlurOrder(request(3, request_id=request_id)).order
    assert (again.order_id, count(database, Order)) == (first.order_id, 1)


def test_the_queue_is_looked_at_again_when_the_order_is_stored(small: Gateway, database: Database) -> None:
    go_on = threading.Event()
    late = small.blur.StreamBlurOrder.future(announced(2, go_on))
    assert small.blur.StreamBlurOrder(parts(*[("a.jpg", [b"x"])] * 2)).order.order_id
    go_on.set()
    error = late.exception(timeout=20)
    assert isinstance(error, grpc.RpcError)
    assert reason(error) == "QUEUE_FULL"
    eventually(lambda: (count(database, Order), len(small.files())) == (1, 2))


def test_orders_at_the_same_moment_do_not_overfill_the_queue(small: Gateway, database: Database) -> None:
    with ThreadPoolExecutor(12) as threads:
        answers = [threads.submit(small.blur.BlurOrder, request(1)) for _ in range(12)]
        errors = [error for answer in answers if isinstance(error := answer.exception(), grpc.RpcError)]
    assert [reason(error) for error in errors] == ["QUEUE_FULL"] * 9
    assert count(database, Image) == 3


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the other scans a table this small
def test_the_backlog_is_read_from_an_index_of_open_orders(database: Database) -> None:
    executed: list[tuple[str, Any]] = []
    event.listen(
        database.engine, "before_cursor_execute", lambda _c, _cursor, text, values, *_: executed.append((text, values))
    )
    with database.read() as session:
        assert backlog.count_open_images(session) == 0
        statement, values = executed[-1]
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        assert re.search(r"SEARCH orders USING INDEX orders_(open|state)", str(plan.all()))


CALLS: dict[str, Callable[[Gateway, str], object]] = {
    "BlurOrder": lambda gateway, _: gateway.blur.BlurOrder(request()),
    "StreamBlurOrder": lambda gateway, _: gateway.blur.StreamBlurOrder(parts(("a.jpg", [b"x"]))),
    "SendImages": lambda gateway, id_: gateway.blur.SendImages(pb.SendImagesRequest(order_id=id_, when_ready=True)),
}


def assert_unavailable(call: Callable[[Gateway, str], object], gateway: Gateway, order_id: str) -> str:
    begin = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        call(gateway, order_id)
    assert time.monotonic() - begin < PROMPTLY
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE, caught.value.details()
    assert retry_seconds(caught.value) > 0
    return caught.value.details() or ""


def ask(gateway: Gateway, order_id: str) -> None:
    gateway.blur.Status(pb.StatusRequest(order_id=order_id))


@contextmanager
def stopped(server: ValkeyServer) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def stalled(server: ValkeyServer) -> Iterator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@pytest.mark.parametrize("away", [stopped, stalled])
def test_without_a_broker_nothing_is_accepted(
    gateway: Gateway,
    database: Database,
    valkey_server: ValkeyServer,
    away: Callable[[ValkeyServer], AbstractContextManager[None]],
) -> None:
    with away(valkey_server):
        for call in CALLS.values():
            assert "broker" in assert_unavailable(call, gateway, str(uuid4()))
    assert_nothing_left(gateway, database)
    assert gateway.blur.BlurOrder(request()).order.order_id


def test_a_broker_that_stalls_later_does_not_hold_up_the_answer(
    gateway: Gateway,
    database: Database,
    valkey_server: ValkeyServer,
    valkey: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go_on, counted, count_order = threading.Event(), threading.Event(), BrokerCheck.count_order

    async def count(check: BrokerCheck, key: str, *, images: int = 0, ping: bool = True) -> None:
        await count_order(check, key, images=images, ping=ping)
        counted.set()

    monkeypatch.setattr(BrokerCheck, "count_order", count)
    answer = gateway.blur.StreamBlurOrder.future(announced(1, go_on))
    eventually(lambda: gateway.folder.is_dir() and _uploads(database) == 1)
    assert counted.wait(20)
    with stalled(valkey_server):
        begin = time.monotonic()
        go_on.set()
        assert answer.result(timeout=20).order.order_id
        assert time.monotonic() - begin < PROMPTLY
    with database.read() as session:
        assert session.scalar(select(Image.enqueued_at)) is not None  # for the sweep: it finds none at the broker
    assert valkey.ping()


def _uploads(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(UnownedBlobs)) or 0


def test_without_a_blob_folder_nothing_is_accepted(gateway: Gateway, database: Database) -> None:
    away = gateway.folder.rename(gateway.folder.with_name("away"))
    for call in ("BlurOrder", "StreamBlurOrder"):
        assert "blob" in assert_unavailable(CALLS[call], gateway, "")
    away.rename(gateway.folder)
    assert_nothing_left(gateway, database)


def test_an_object_store_that_is_away_is_noticed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT": "http://127.0.0.1:1",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "x",
    }.items():
        monkeypatch.setenv(name, value)
    begin = time.monotonic()
    with pytest.raises(Unavailable):
        BlobStore("s3://bucket/prefix").put("key", b"x")
    assert time.monotonic() - begin < PROMPTLY


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # a file does not go away
def test_without_a_database_nothing_is_accepted(
    gateway: Gateway, database: Database, postgres_server: PostgresServer
) -> None:
    postgres_server.stop()
    try:
        for call in CALLS.values():
            assert "database" in assert_unavailable(call, gateway, str(uuid4()))
    finally:
        postgres_server.start()
    assert_nothing_left(gateway, database)
    eventually(lambda: order(gateway).order_id)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_database_that_stalls_is_noticed_soon(
    gateway: Gateway, database: Database, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = [psutil.Process(postgres_server.pid)]
    processes += processes[0].children(recursive=True)
    for process in processes:
        process.suspend()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(thread_pool, "TIMEOUT_SECONDS", 1)
            for call in CALLS.values():
                assert "database" in assert_unavailable(call, gateway, str(uuid4()))
            assert "database" in assert_unavailable(ask, gateway, str(uuid4()))
    finally:
        for process in processes:
            process.resume()
    assert_nothing_left(gateway, database)
    assert gateway.blur.BlurOrder(request()).order.order_id


def test_before_the_disk_is_full_nothing_is_accepted_any_more(settings: GatewaySettings, database: Database) -> None:
    with running(settings.model_copy(update={"min_free_mb": 1 << 40})) as gateway:
        for call in ("BlurOrder", "StreamBlurOrder"):
            assert "disk is almost full" in assert_unavailable(CALLS[call], gateway, "")
        health = health_pb2_grpc.HealthStub(gateway.channel)
        answer: Any = health.Check(health_pb2.HealthCheckRequest())  # type: ignore[attr-defined]
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert_nothing_left(gateway, database)
        header = pb.OrderHeader(email=HEADER.email)
        refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurOrder, pb.BlurOrderRequest(order=header))
