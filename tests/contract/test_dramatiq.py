"""What `services.common.infra.messaging.dramatiq_private` relies on in dramatiq, against a real Valkey."""

import inspect
from uuid import uuid4

import pytest
import redis
from dramatiq import Message, Worker, worker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import current_millis

from services.common.infra.messaging import dramatiq_private as private
from services.common.infra.messaging.broker import Broker, connect
from services.common.infra.messaging.messages import BLUR_QUEUE, blur_image
from tests.support.valkey import ValkeyServer


@pytest.fixture
def plain(queues: Broker) -> RedisBroker:
    """The library's own broker on the same server."""
    broker = RedisBroker(client=queues.client, middleware=[])  # type: ignore[no-untyped-call]
    broker.declare_queue(BLUR_QUEUE)
    return broker


def stored(client: redis.Redis) -> dict[bytes, object]:
    """The database without what differs between messages: ids and times."""
    content: dict[bytes, object] = {}
    for key in client.scan_iter():
        kind = client.type(key)
        content[key] = (kind, client.llen(key) if kind == b"list" else client.hlen(key) if kind == b"hash" else None)
    return content


def test_enqueueing_in_a_pipeline_stores_what_the_library_stores(queues: Broker, plain: RedisBroker) -> None:
    message = blur_image(uuid4())
    plain.enqueue(message)
    expected = stored(queues.client)
    queues.client.flushdb()
    pipeline = queues.client.pipeline(transaction=False)
    private.enqueue(plain, message, "an-id", pipeline)
    pipeline.execute()
    assert stored(queues.client) == expected
    assert queues.client.lrange(private.waiting_key(plain, BLUR_QUEUE), 0, -1) == [b"an-id"]
    assert list(queues.client.hkeys(private.messages_key(plain, BLUR_QUEUE))) == [b"an-id"]
    received = next(plain.consume(BLUR_QUEUE))
    assert received, "the library's own consumer takes it"
    assert (received.args, private.redis_id(received)) == (message.args, b"an-id")


def test_fetched_messages_are_listed_until_they_are_acknowledged_or_requeued(
    queues: Broker, plain: RedisBroker
) -> None:
    for _ in range(3):
        plain.enqueue(blur_image(uuid4()))
    fetched_key = private.fetched_key(plain, BLUR_QUEUE)
    assert private.fetch(plain, BLUR_QUEUE, 0) == []
    assert queues.client.zscore("dramatiq:__heartbeats__", plain.broker_id), "a fetch of none is a heartbeat"
    first, second = (private.redis_id(Message.decode(data)) for data in private.fetch(plain, BLUR_QUEUE, 2))
    assert queues.client.smembers(fetched_key) == {first, second}
    private.requeue(plain, BLUR_QUEUE, [second])
    assert queues.client.smembers(fetched_key) == {first}
    assert queues.client.llen(private.waiting_key(plain, BLUR_QUEUE)) == 2
    plain.do_ack(BLUR_QUEUE, first.decode())
    assert queues.client.smembers(fetched_key) == set()
    assert queues.client.hlen(private.messages_key(plain, BLUR_QUEUE)) == 2


def test_the_consumer_has_the_attributes_that_ours_uses(plain: RedisBroker) -> None:
    assert list(inspect.signature(private.RedisConsumer).parameters) == ["broker", "queue_name", "prefetch", "timeout"]
    plain.enqueue(blur_image(uuid4()))
    consumer = private.RedisConsumer(plain, BLUR_QUEUE, 2, 1000)  # type: ignore[no-untyped-call]
    assert (consumer.broker, consumer.queue_name, consumer.prefetch) == (plain, BLUR_QUEUE, 2)
    assert (consumer.message_cache, consumer.outstanding_message_count) == ([], 0)
    message = next(consumer)
    assert consumer.queued_message_ids == {message.message_id}
    assert consumer.outstanding_message_count == 1
    consumer.ack(message)  # type: ignore[no-untyped-call]
    assert consumer.outstanding_message_count == 0
    assert consumer.logger


def test_the_worker_asks_the_broker_for_its_consumers() -> None:
    from dramatiq.worker import _ConsumerThread

    assert "self.broker.consume(" in inspect.getsource(_ConsumerThread)


def test_the_restart_delay_is_read_from_where_it_is_set() -> None:
    from dramatiq.worker import _ConsumerThread

    assert "CONSUMER_RESTART_DELAY_SECS" in inspect.getsource(_ConsumerThread.run)
    acknowledging = inspect.getsource(_ConsumerThread.post_process_message)
    assert "POST_PROCESS_MESSAGE_RETRY_DELAY_SECS" in acknowledging
    before = worker.CONSUMER_RESTART_DELAY_SECS, worker.POST_PROCESS_MESSAGE_RETRY_DELAY_SECS
    private.set_restart_delay(0.25)
    assert worker.CONSUMER_RESTART_DELAY_SECS == worker.POST_PROCESS_MESSAGE_RETRY_DELAY_SECS == 0.25
    worker.CONSUMER_RESTART_DELAY_SECS, worker.POST_PROCESS_MESSAGE_RETRY_DELAY_SECS = before


def test_the_prefetch_of_a_worker_can_be_set_before_it_starts(plain: RedisBroker) -> None:
    made = Worker(plain, queues={BLUR_QUEUE}, worker_threads=1)
    made.queue_prefetch = 7
    made.start()
    assert made.consumers[BLUR_QUEUE].prefetch == 7
    made.stop()


@pytest.mark.parametrize("ahead", [-3_600_000, 3_600_000])
def test_a_worker_whose_clock_is_wrong_takes_no_messages_and_loses_none(
    queues: Broker, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    queues.send([blur_image(uuid4())])
    (fetched,) = private.fetch(queues, BLUR_QUEUE, 1)
    other = connect(valkey_server.url, BLUR_QUEUE)
    with monkeypatch.context() as patch:
        patch.setattr("dramatiq.brokers.redis.current_millis", lambda: current_millis() + ahead)
        assert private.fetch(other, BLUR_QUEUE, 1) == []
        queues.send([blur_image(uuid4())])
        (others,) = private.fetch(other, BLUR_QUEUE, 1)
    assert private.fetch(queues, BLUR_QUEUE, 1) == []
    for broker, data in ((queues, fetched), (other, others)):
        message_id = private.redis_id(Message.decode(data))
        assert queues.client.smembers(private.fetched_key(broker, BLUR_QUEUE)) == {message_id}


def test_a_heartbeat_of_the_future_is_one_of_now(queues: Broker) -> None:
    heartbeats = f"{queues.namespace}:__heartbeats__"
    queues.client.zadd(heartbeats, {"a worker that was killed": current_millis() + 3_600_000})
    private.fetch(queues, BLUR_QUEUE, 0)
    heartbeat = queues.client.zscore(heartbeats, "a worker that was killed")
    assert heartbeat
    assert abs(heartbeat - current_millis()) < 60_000
