"""The prompt consumer on a real Valkey."""

import os
import signal
import threading
from uuid import uuid4

import pytest
import redis
from dramatiq.errors import ConnectionClosed

from services.common.domain.errors import Unavailable
from services.common.infra.messaging import broker
from services.common.infra.messaging import consumer as consumer_module
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import BLUR_QUEUE, FIND_QUEUE, blur_image, find_image
from tests.support.descriptors import descriptors
from tests.support.valkey import ValkeyServer
from tests.support.waiting import eventually


def acks(queues: Broker) -> set[bytes]:
    return set(queues.client.smembers(f"dramatiq:__acks__.{queues.broker_id}.{BLUR_QUEUE}"))


def test_messages_come_in_order_and_are_gone_once_acknowledged(queues: Broker) -> None:
    ids = [uuid4() for _ in range(5)]
    queues.send(map(blur_image, ids))
    consumer = queues.consume(BLUR_QUEUE, prefetch=2)
    seen = []
    for _ in ids:
        message = next(consumer)
        assert message
        seen.append(message.args[0])
        consumer.ack(message)
    assert seen == [str(image_id) for image_id in ids]
    assert len(queues.subjects(BLUR_QUEUE)) == 0


def test_a_waiting_consumer_gets_a_message_at_once(
    queues: Broker, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "WAIT_SECONDS", 500.0)  # nothing but a message ends the wait
    patient = broker.Broker(redis.Redis.from_url(valkey_server.url, socket_timeout=None), [BLUR_QUEUE])
    consumer = patient.consume(BLUR_QUEUE)

    def send_soon() -> None:
        # The consumer blocks in the server before anything is sent.
        eventually(lambda: any(c["cmd"] == "blmove" for c in queues.client.client_list()))
        queues.send([blur_image(uuid4())])

    thread = threading.Thread(target=send_soon)
    thread.start()
    assert next(consumer), "the stock consumer would sleep, and look again"
    thread.join()
    patient.client.close()


def test_no_more_than_the_prefetch_is_held_and_an_ack_frees_a_place(queues: Broker) -> None:
    queues.send(blur_image(uuid4()) for _ in range(3))
    consumer = queues.consume(BLUR_QUEUE, prefetch=1)
    held = next(consumer)
    assert held
    assert next(consumer) is None
    assert queues.client.llen(f"dramatiq:{BLUR_QUEUE}") == 2
    consumer.ack(held)
    assert next(consumer)


def test_the_last_that_may_be_held_is_left_to_others_for_a_moment(queues: Broker, valkey_server: ValkeyServer) -> None:
    queues.send(blur_image(uuid4()) for _ in range(4))
    busy = queues.consume(BLUR_QUEUE, prefetch=3)
    held = [next(busy), next(busy)]
    assert all(held)
    assert queues.client.llen(f"dramatiq:{BLUR_QUEUE}") == 2, "though three might be held"
    other = broker.connect(valkey_server.url, BLUR_QUEUE)
    idle = other.consume(BLUR_QUEUE, prefetch=3)
    assert all([next(idle), next(idle)])
    assert next(busy) is None
    queues.send([blur_image(uuid4())])
    assert next(busy), "when nobody else takes it"
    other.client.close()


def test_messages_that_never_arrived_are_requeued_and_those_in_hand_are_not(queues: Broker) -> None:
    queues.send(blur_image(uuid4()) for _ in range(2))
    in_hand = next(queues.consume(BLUR_QUEUE, prefetch=1))
    assert in_hand
    # Handed out by the broker, lost on the way.
    queues.do_fetch(BLUR_QUEUE, 1)
    assert len(acks(queues)) == 2
    # A consumer made anew, as after a lost connection, audits at once.
    found = next(queues.consume(BLUR_QUEUE, prefetch=2))
    assert found
    assert found.message_id != in_hand.message_id
    assert len(acks(queues)) == 2


def test_a_lost_connection_is_told_so_that_the_worker_makes_a_new_consumer(
    valkey: redis.Redis, valkey_server: ValkeyServer
) -> None:
    assert not valkey.dbsize()
    queues = broker.connect(valkey_server.url, BLUR_QUEUE)
    consumer = queues.consume(BLUR_QUEUE)
    assert next(consumer) is None
    valkey_server.stop()
    try:
        with pytest.raises(ConnectionClosed):
            next(consumer)
    finally:
        valkey_server.start()
        queues.client.close()


def test_a_silent_worker_s_messages_come_back(queues: Broker, valkey_server: ValkeyServer) -> None:
    queues.send([blur_image(uuid4())])
    dead = broker.connect(valkey_server.url, BLUR_QUEUE)
    assert next(dead.consume(BLUR_QUEUE))
    queues.client.zadd("dramatiq:__heartbeats__", {dead.broker_id: 0})
    consumer = queues.consume(BLUR_QUEUE)
    assert next(consumer)
    dead.client.close()


def test_a_closed_consumer_gives_back_what_it_has_not_handed_on(queues: Broker) -> None:
    queues.send(blur_image(uuid4()) for _ in range(3))
    consumer = queues.consume(BLUR_QUEUE, prefetch=3)
    in_hand = next(consumer)
    assert in_hand
    consumer.close()
    assert queues.client.llen(f"dramatiq:{BLUR_QUEUE}") == 2
    assert acks(queues) == {in_hand.options["redis_message_id"].encode()}


def test_a_broker_that_stalls_is_told_as_a_lost_connection(queues: Broker, valkey_server: ValkeyServer) -> None:
    other = broker.connect(valkey_server.url, BLUR_QUEUE)
    queues.send([blur_image(uuid4())])
    consumer = other.consume(BLUR_QUEUE)
    message = next(consumer)
    assert message
    os.kill(valkey_server.pid, signal.SIGSTOP)
    try:
        set_patience(other, 0.2)
        with pytest.raises(ConnectionClosed):
            consumer.ack(message)
    finally:
        os.kill(valkey_server.pid, signal.SIGCONT)
    set_patience(other, 30)
    consumer.ack(message)
    assert acks(other) == set()
    other.client.close()


def set_patience(queues: Broker, seconds: float) -> None:
    """Wait so long for an answer from now on, on new connections."""
    pool = queues.client.connection_pool
    pool.disconnect()
    pool.reset()
    pool.connection_kwargs["socket_timeout"] = seconds


def test_a_process_takes_no_more_messages_of_two_queues_than_it_has_threads(
    queues: Broker, valkey_server: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    queues.send([*(blur_image(uuid4()) for _ in range(9)), *(find_image(uuid4()) for _ in range(9))])
    both = broker.connect(valkey_server.url, BLUR_QUEUE, FIND_QUEUE, shared=[BLUR_QUEUE, FIND_QUEUE], most_shared=3)
    blurs, finds = both.consume(BLUR_QUEUE, prefetch=3), both.consume(FIND_QUEUE, prefetch=3)
    first, second, third = next(blurs), next(blurs), next(finds)
    assert first
    assert second
    assert third
    assert next(finds) is None
    assert next(blurs) is None
    assert (both.count_held(BLUR_QUEUE), both.count_held(FIND_QUEUE)) == (2, 1)
    finds.ack(third)
    monkeypatch.setattr(consumer_module, "YIELD_SECONDS", 2.0)  # both wait at the same time, however late one begins
    taken: list[object] = []
    waiting = [
        threading.Thread(target=lambda consumer=consumer: taken.append(next(consumer))) for consumer in (blurs, finds)
    ]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join(60)
    assert both.count_held(FIND_QUEUE) == 1, "of the queue of which fewer messages are held"
    assert both.count_held(BLUR_QUEUE) == 2
    both.client.close()


def test_without_descriptors_nothing_is_sent_and_nobody_fails(valkey_server: ValkeyServer) -> None:
    for left in range(3):
        queues = broker.connect(valkey_server.url, BLUR_QUEUE)
        with descriptors(left):
            queues.announce(uuid4())
            queues.send([blur_image(uuid4())])
            try:
                queues.ping()
            except Unavailable:
                assert left < 2
        queues.ping()
        queues.client.flushdb()
