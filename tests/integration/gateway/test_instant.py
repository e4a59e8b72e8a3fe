"""Instant calls between real gateways, a real broker and real child processes: answered, and nothing is left."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import dramatiq
import grpc
import pytest
import redis
from google.rpc import error_details_pb2
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import operator_service_pb2 as operator_pb
from imageblur.v1 import order_pb2
from imageblur.v1.operator_service_pb2_grpc import OperatorServiceStub
from sqlalchemy import func, select

from services.blur_worker.child.pool import ChildPool
from services.blur_worker.engine import Limits, blur
from services.common.db.engine import Database
from services.common.db.models import Base, Installation
from services.common.db.queues import workers
from services.common.domain.spec import BlurSpec, Format, Region, Solid
from services.common.infra.messaging.messages import INSTANT_QUEUE
from services.gateway.instant import calls
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import Gateway, running
from tests.integration.gateway.operator.test_keys import reason
from tests.integration.gateway.test_orders import details, fields, refused
from tests.support.blur_workers import instant_worker
from tests.support.images import encode, opened, oriented, photo
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually

PHOTO = encode(photo(), "JPEG")
REQUEST = pb.BlurImageRequest(image=pb.InputImage(filename="ada.jpg", data=PHOTO))


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Instant calls use no database, except to see whether the queue is paused."""
    return sqlite_url


@pytest.fixture
def worker(valkey_server: ValkeyServer, valkey: redis.Redis, instant_children: ChildPool) -> Iterator[dramatiq.Worker]:
    assert not valkey.dbsize()
    with instant_worker(valkey_server.url, instant_children) as worker:
        yield worker


def assert_nothing_left(gateway: Gateway, database: Database, valkey: redis.Redis) -> None:
    """Neither blobs nor rows nor messages nor keys."""
    assert gateway.files() == []
    with database.read() as session:
        for table in Base.metadata.tables.values():
            if table.name not in {Installation.__tablename__, "alembic_version", "paused_queues"}:
                assert not session.scalar(select(func.count()).select_from(table)), table.name
    eventually(lambda: not valkey.hlen("dramatiq:instant.msgs"))
    assert not list(valkey.scan_iter("imageblur:instant*"))


def in_background(gateway: Gateway, request: pb.BlurImageRequest = REQUEST) -> "Future[pb.BlurImageResponse]":
    """Call BlurImage; return once a call is in the queue."""
    future: Future[pb.BlurImageResponse] = Future()

    def call() -> None:
        try:
            future.set_result(gateway.blur.BlurImage(request))
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return future


@pytest.mark.usefixtures("worker")
def test_an_image_is_blurred_as_in_an_order_and_nothing_is_kept(
    gateway: Gateway, database: Database, valkey: redis.Redis
) -> None:
    response = gateway.blur.BlurImage(REQUEST)
    expected = blur(PHOTO, BlurSpec(), Limits(max_pixels=1_000_000))
    assert response.data == expected.data
    assert (response.media_type, response.width, response.height) == ("image/jpeg", *photo().size)
    assert response.check.state == order_pb2.CHECK_STATE_NOT_CHECKED
    assert_nothing_left(gateway, database, valkey)


@pytest.mark.usefixtures("worker")
def test_the_spec_of_the_image_counts(gateway: Gateway) -> None:
    box = order_pb2.Rect(left=0, top=0, width=0.5, height=1)
    spec = order_pb2.BlurSpec(
        solid=order_pb2.Solid(color="#ff0000"),
        regions=[order_pb2.Region(box=box)],
        output_format=order_pb2.IMAGE_FORMAT_PNG,
    )
    response = gateway.blur.BlurImage(pb.BlurImageRequest(image=pb.InputImage(data=PHOTO, spec=spec)))
    assert response.media_type == "image/png"
    region = Region("box", 0, 0, 0.5, 1)
    expected = BlurSpec(effect=Solid("#ff0000"), regions=(region,), output_format=Format.PNG)
    assert response.data == blur(PHOTO, expected, Limits(max_pixels=1_000_000)).data


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("data", "expected"), [(b"no image", "NOT_AN_IMAGE"), (PHOTO[: len(PHOTO) // 2], "CORRUPT")])
def test_an_image_that_cannot_be_blurred_is_refused_with_the_reason(
    gateway: Gateway, database: Database, valkey: redis.Redis, data: bytes, expected: str
) -> None:
    request = pb.BlurImageRequest(image=pb.InputImage(data=data))
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurImage, request)
    assert set(fields(error)) == {"image.data"}
    assert reason(error) == expected
    assert_nothing_left(gateway, database, valkey)


def test_a_malformed_request_is_refused_before_anything_is_done(gateway: Gateway) -> None:
    spec = order_pb2.BlurSpec(gaussian=order_pb2.Gaussian(sigma_px=-1))
    request = pb.BlurImageRequest(image=pb.InputImage(filename="n" * 256, spec=spec))
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.BlurImage, request)
    assert set(fields(error)) == {"image.data", "image.filename", "image.spec.gaussian.sigma_px"}
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.FindRegions, pb.FindRegionsRequest())
    assert set(fields(error)) == {"data", "find"}
    for side in (-1, 2049):
        too_long = pb.FindRegionsRequest(data=PHOTO, preview_side=side)
        error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway.blur.FindRegions, too_long)
        assert set(fields(error)) == {"preview_side"}


@pytest.mark.usefixtures("worker")
def test_a_preview_is_drawn_and_nothing_is_left(gateway: Gateway, database: Database, valkey: redis.Redis) -> None:
    turned = encode(photo(), "JPEG", exif=oriented(6))
    answer = gateway.blur.FindRegions(pb.FindRegionsRequest(data=turned, preview_side=48))
    assert (answer.width, answer.height, answer.preview_media_type) == (64, 96, "image/jpeg")
    assert opened(answer.preview).size == (32, 48)
    assert not answer.findings
    assert_nothing_left(gateway, database, valkey)


def test_without_a_worker_the_call_is_to_be_repeated(
    gateway: Gateway, database: Database, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "TAKE_SECONDS", 0.3)
    error = refused(grpc.StatusCode.UNAVAILABLE, gateway.blur.BlurImage, REQUEST)
    assert details(error, error_details_pb2.RetryInfo)
    assert_nothing_left(gateway, database, valkey)


def test_a_paused_queue_refuses_before_a_worker_is_looked_for(
    gateway: Gateway, database: Database, valkey: redis.Redis
) -> None:
    with database.write() as session:
        workers.pause(session, INSTANT_QUEUE, "test")
    valkey.config_resetstat()
    error = refused(grpc.StatusCode.UNAVAILABLE, gateway.blur.BlurImage, REQUEST)
    assert "paused" in (error.details() or "")
    assert "cmdstat_rpush" not in valkey.info("commandstats"), "it was in the queue"


def test_a_full_queue_refuses_over_all_gateways(settings: GatewaySettings, valkey: redis.Redis) -> None:
    full = settings.model_copy(update={"max_instant_calls": 1})
    with running(full) as one, running(full) as two:
        first: Any = one.blur.BlurImage.future(REQUEST, timeout=60)
        eventually(lambda: valkey.llen("dramatiq:instant") == 1)
        error = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, two.blur.BlurImage, REQUEST)
        assert reason(error) == "QUEUE_FULL"
        assert details(error, error_details_pb2.RetryInfo)
        assert valkey.llen("dramatiq:instant") == 1
        first.cancel()


def test_a_caller_that_goes_away_leaves_nothing(gateway: Gateway, database: Database, valkey: redis.Redis) -> None:
    call = gateway.blur.BlurImage.future(REQUEST)
    eventually(lambda: valkey.llen("dramatiq:instant") == 1)
    call.cancel()
    assert_nothing_left(gateway, database, valkey)


@pytest.mark.usefixtures("worker")
def test_a_result_that_fits_into_no_message_is_refused(gateway: Gateway) -> None:
    data = encode(photo(900, 700), "JPEG")
    spec = order_pb2.BlurSpec(gaussian=order_pb2.Gaussian(sigma_px=0.1), output_format=order_pb2.IMAGE_FORMAT_BMP)
    request = pb.BlurImageRequest(image=pb.InputImage(data=data, spec=spec))
    error = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, gateway.blur.BlurImage, request)
    assert reason(error) == "MESSAGE_TOO_LARGE"


def test_an_operator_sees_and_purges_the_queue(gateway: Gateway) -> None:
    operator = OperatorServiceStub(gateway.channel)
    waiting = in_background(gateway)

    def depth() -> int:
        listed = operator.ListQueues(operator_pb.ListQueuesRequest()).queues
        return next(queue.waiting for queue in listed if queue.name == INSTANT_QUEUE)

    eventually(lambda: depth() == 1)
    assert operator.PurgeQueue(operator_pb.PurgeQueueRequest(queue=INSTANT_QUEUE)).cancelled == 1
    error: Any = waiting.exception(timeout=10)
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert depth() == 0


def test_calls_are_counted_as_orders_are(settings: GatewaySettings) -> None:
    limited = settings.model_copy(update={"max_orders_per_minute": 1})
    with running(limited) as gateway, pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "TAKE_SECONDS", 0.1)
        refused(grpc.StatusCode.UNAVAILABLE, gateway.blur.BlurImage, REQUEST)
        error = refused(grpc.StatusCode.RESOURCE_EXHAUSTED, gateway.blur.BlurImage, REQUEST)
        assert reason(error) == "RATE_LIMIT_EXCEEDED"


def test_a_broker_that_stops_ends_the_call(
    settings: GatewaySettings, valkey: redis.Redis, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "TAKE_SECONDS", 500.0)
    with running(settings.model_copy(update={"instant_seconds": 500})) as gateway:
        waiting = in_background(gateway)
        eventually(lambda: valkey.llen("dramatiq:instant") == 1)
        valkey_server.stop()
        try:
            error: Any = waiting.exception(timeout=60)  # long before it would have waited for a worker in vain
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            error = refused(grpc.StatusCode.UNAVAILABLE, gateway.blur.BlurImage, REQUEST)
            assert details(error, error_details_pb2.RetryInfo)
        finally:
            valkey_server.start()
