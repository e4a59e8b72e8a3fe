"""Instant calls that a gateway sends directly to a worker of its machine: answered as those over the broker are."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
import redis
from imageblur.v1 import blur_service_pb2 as pb

from services.blur_worker.child.pool import ChildPool
from services.blur_worker.engine import Limits, blur
from services.blur_worker.instant.direct_listener import CallerGone
from services.common.db.engine import Database
from services.common.domain.spec import BlurSpec
from services.common.infra.messaging.consumer import PromptConsumer
from services.gateway.instant import calls, direct_workers
from tests.integration.gateway.conftest import Gateway
from tests.integration.gateway.operator.test_keys import reason
from tests.integration.gateway.test_instant import PHOTO, REQUEST, assert_nothing_left
from tests.integration.gateway.test_orders import fields, refused
from tests.support.blur_workers import instant_worker
from tests.support.images import photo
from tests.support.valkey import ValkeyServer


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no reason for the queue, nor for a refusal."""
    monkeypatch.setattr(direct_workers, "TAKE_SECONDS", 30.0)
    monkeypatch.setattr(calls, "TAKE_SECONDS", 60.0)


@pytest.fixture
def gateway_and_worker(
    gateway: Gateway, valkey_server: ValkeyServer, instant_children: ChildPool, valkey: redis.Redis
) -> Iterator[Gateway]:
    """A gateway that knows the worker: a first call has gone through the queue."""
    assert not valkey.dbsize()
    with instant_worker(valkey_server.url, instant_children, direct=True):
        gateway.blur.BlurImage(REQUEST)
        yield gateway


def enqueued(valkey: redis.Redis) -> int:
    """How many calls of dramatiq's script the broker has seen that enqueue: none for a direct call."""
    return int(valkey.info("commandstats").get("cmdstat_rpush", {}).get("calls", 0))


def is_direct(options: dict[str, Any]) -> bool:
    """Whether a task for a child process, with these options, is a direct call's: that waits for no child process."""
    return options.get("wait_seconds") == 0


def test_the_next_call_is_answered_directly_and_nothing_is_kept(
    gateway_and_worker: Gateway, database: Database, valkey: redis.Redis
) -> None:
    before = enqueued(valkey)
    response = gateway_and_worker.blur.BlurImage(REQUEST)
    assert response.data == blur(PHOTO, BlurSpec(), Limits(max_pixels=1_000_000)).data
    assert (response.media_type, response.width, response.height) == ("image/jpeg", *photo().size)
    assert enqueued(valkey) == before > 0
    assert_nothing_left(gateway_and_worker, database, valkey)


def test_a_call_that_is_answered_but_not_yet_acknowledged_keeps_no_other_waiting(
    gateway: Gateway,
    valkey_server: ValkeyServer,
    instant_children: ChildPool,
    valkey: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acknowledge, may_acknowledge = PromptConsumer.ack, threading.Event()

    def acknowledge_late(self: PromptConsumer, message: Any) -> None:
        assert may_acknowledge.wait(60)
        acknowledge(self, message)

    monkeypatch.setattr(PromptConsumer, "ack", acknowledge_late)
    with instant_worker(valkey_server.url, instant_children, direct=True):
        gateway.blur.BlurImage(REQUEST)
        before = enqueued(valkey)
        assert gateway.blur.BlurImage(REQUEST).width == photo().width
        assert enqueued(valkey) == before > 0
        may_acknowledge.set()


@pytest.mark.parametrize(("data", "expected"), [(b"no image", "NOT_AN_IMAGE"), (PHOTO[: len(PHOTO) // 2], "CORRUPT")])
def test_an_image_that_cannot_be_blurred_is_refused_with_the_reason(
    gateway_and_worker: Gateway, valkey: redis.Redis, data: bytes, expected: str
) -> None:
    before = enqueued(valkey)
    request = pb.BlurImageRequest(image=pb.InputImage(data=data))
    error = refused(grpc.StatusCode.INVALID_ARGUMENT, gateway_and_worker.blur.BlurImage, request)
    assert set(fields(error)) == {"image.data"}
    assert reason(error) == expected
    assert gateway_and_worker.blur.BlurImage(REQUEST).width == photo().width
    assert enqueued(valkey) == before


def test_calls_at_once_are_all_answered_by_one_child_process(gateway_and_worker: Gateway) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: gateway_and_worker.blur.BlurImage(REQUEST), range(40)))
    assert {answer.width for answer in answers} == {photo().width}


def test_a_worker_that_stops_answers_the_call_that_it_has_taken(
    gateway: Gateway, valkey_server: ValkeyServer, instant_children: ChildPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()
    run = ChildPool.run

    def run_slowly(self: ChildPool, task: Any, *arguments: Any, **options: Any) -> Any:
        if is_direct(options):
            options["on_take"]()
            begun.set()
            time.sleep(0.5)
        return run(self, task, *arguments, **options)

    monkeypatch.setattr(ChildPool, "run", run_slowly)
    with ThreadPoolExecutor(1) as pool:
        with instant_worker(valkey_server.url, instant_children, direct=True):
            gateway.blur.BlurImage(REQUEST)
            answer = pool.submit(gateway.blur.BlurImage, REQUEST)
            assert begun.wait(60)
        assert answer.result(60).width == photo().width
    with monkeypatch.context() as patch:
        patch.setattr(calls, "TAKE_SECONDS", 0.3)
        refused(grpc.StatusCode.UNAVAILABLE, gateway.blur.BlurImage, REQUEST)
    with instant_worker(valkey_server.url, instant_children, direct=True):
        for _ in range(3):
            assert gateway.blur.BlurImage(REQUEST).width == photo().width


def test_a_call_whose_worker_ends_goes_into_the_queue(
    gateway_and_worker: Gateway, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ChildPool.run

    def end_after_taking(self: ChildPool, task: Any, *arguments: Any, **options: Any) -> Any:
        if is_direct(options):
            options["on_take"]()
            raise CallerGone  # ends the connection, as a killed worker does
        return run(self, task, *arguments, **options)

    monkeypatch.setattr(ChildPool, "run", end_after_taking)
    before = enqueued(valkey)
    assert gateway_and_worker.blur.BlurImage(REQUEST).width == photo().width
    assert enqueued(valkey) == before + 1


def test_a_caller_that_goes_away_leaves_nothing(
    gateway_and_worker: Gateway, database: Database, valkey: redis.Redis
) -> None:
    for _ in range(5):
        call = gateway_and_worker.blur.BlurImage.future(REQUEST)
        time.sleep(0.002)
        call.cancel()
    assert gateway_and_worker.blur.BlurImage(REQUEST).width == photo().width
    assert_nothing_left(gateway_and_worker, database, valkey)
