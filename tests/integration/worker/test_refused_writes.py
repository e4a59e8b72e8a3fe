"""A broker that answers but refuses writes: a replica, one that could not save, one without room."""

import threading
from collections.abc import Iterator
from uuid import uuid4

import dramatiq
import pytest
from dramatiq.errors import ConnectionClosed

from services.common.infra.messaging import dramatiq_private as private
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.dramatiq_worker import RESTART_DELAY_SECONDS
from services.common.infra.messaging.messages import BLUR_IMAGE, BLUR_QUEUE, blur_image
from tests.support.valkey import REFUSALS, Refusal, ValkeyServer
from tests.support.waiting import eventually

ANY_REFUSAL = pytest.mark.parametrize("refusal", REFUSALS)


@pytest.fixture
def short_delays() -> Iterator[None]:
    worker = dramatiq.worker
    before = worker.CONSUMER_RESTART_DELAY_SECS, worker.POST_PROCESS_MESSAGE_RETRY_DELAY_SECS
    private.set_restart_delay(RESTART_DELAY_SECONDS)
    yield
    worker.CONSUMER_RESTART_DELAY_SECS, worker.POST_PROCESS_MESSAGE_RETRY_DELAY_SECS = before


@ANY_REFUSAL
def test_a_refused_write_counts_as_a_lost_connection(
    queues: Broker, valkey_server: ValkeyServer, refusal: Refusal
) -> None:
    queues.send(blur_image(uuid4()) for _ in range(3))
    consumer = queues.consume(BLUR_QUEUE, prefetch=2)
    acknowledged, refused = next(consumer), next(queues.consume(BLUR_QUEUE, prefetch=2))
    assert acknowledged
    assert refused
    with valkey_server.refusing_writes(refusal):
        with pytest.raises(ConnectionClosed):
            consumer.ack(acknowledged)
        with pytest.raises(ConnectionClosed):
            consumer.nack(refused)
        assert queues.count_held(BLUR_QUEUE) == 2, "both are still to be acknowledged"
    consumer.ack(acknowledged)
    consumer.nack(refused)
    assert queues.count_held(BLUR_QUEUE) == 0
    assert len(queues.subjects(BLUR_QUEUE)) == 1
    fetched = next(consumer)
    assert fetched
    consumer.ack(fetched)
    with valkey_server.refusing_writes(refusal), pytest.raises(ConnectionClosed):
        next(consumer)


@pytest.mark.usefixtures("short_delays")
@ANY_REFUSAL
def test_a_worker_goes_on_by_itself_and_leaves_no_message_behind(
    queues: Broker, valkey_server: ValkeyServer, refusal: Refusal
) -> None:
    done, release = threading.Semaphore(0), threading.Event()

    def handle(_image_id: str) -> None:
        release.wait(30)
        done.release()

    dramatiq.actor(broker=queues, queue_name=BLUR_QUEUE, actor_name=BLUR_IMAGE)(handle)
    queues.send(blur_image(uuid4()) for _ in range(6))
    worker = dramatiq.Worker(queues, queues={BLUR_QUEUE}, worker_threads=2, worker_timeout=100)
    worker.queue_prefetch = 2
    worker.start()
    try:
        eventually(lambda: queues.count_held(BLUR_QUEUE) == 2)
        with valkey_server.refusing_writes(refusal):
            release.set()
            assert done.acquire(timeout=30)
            assert done.acquire(timeout=30)
        # All others are handled, and none is repeated.
        eventually(lambda: queues.subjects(BLUR_QUEUE) == [])
        eventually(lambda: queues.count_held(BLUR_QUEUE) == 0)
        assert all(done.acquire(timeout=30) for _ in range(4))
        assert not done.acquire(blocking=False)
        assert queues.client.scard(private.fetched_key(queues, BLUR_QUEUE)) == 0
    finally:
        release.set()
        worker.stop()


def test_a_consumer_made_anew_holds_no_more_than_it_may(queues: Broker) -> None:
    queues.send(blur_image(uuid4()) for _ in range(4))
    before = queues.consume(BLUR_QUEUE, prefetch=1)
    in_hand = next(before)
    assert in_hand
    before.close()
    anew = queues.consume(BLUR_QUEUE, prefetch=1)
    assert next(anew) is None, "the first message is still handled"
    anew.ack(in_hand)
    assert next(anew)
