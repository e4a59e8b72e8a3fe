"""What this project uses of dramatiq's internals. tests/contract/test_dramatiq.py fails when the library changes them.

Keys in Redis, of a queue `q` in the namespace `n`: the list `n:q` of the ids of waiting messages; the hash `n:q.msgs`
of all its messages by id; and for each process the set `n:__acks__.<broker_id>.q` of the ids that it has fetched and
not acknowledged. All are changed by one script, `dispatch.lua`.
"""

from collections.abc import Iterable
from typing import Any

import redis
from dramatiq import Message, MessageProxy, worker
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.common import current_millis

RedisConsumer = _RedisConsumer
_MESSAGE_ID = "redis_message_id"


_CALLERS_CLOCK = "local timestamp = ARGV[2]\n"
_SERVERS_CLOCK = """
local clock = redis.call("time")
local timestamp = clock[1] * 1000 + math.floor(clock[2] / 1000)
for _, worker in ipairs(redis.call("zrangebyscore", KEYS[1] .. ":__heartbeats__", "(" .. timestamp, "+inf")) do
    redis.call("zadd", KEYS[1] .. ":__heartbeats__", timestamp, worker)
end
"""
"""A heartbeat of the future is one from before the clock was set back: it counts as one of now."""


def use_servers_clock(broker: RedisBroker) -> None:
    """Have heartbeats timed by the clock of the server, and not by those of the workers, which need not agree.

    One whose clock is ahead would take all others for dead, and their messages from them.
    """
    dispatch = str(broker.scripts["dispatch"].script, "utf-8")  # type: ignore[arg-type] # it is read as bytes
    assert dispatch.count(_CALLERS_CLOCK) == 1
    script = broker.client.register_script(dispatch.replace(_CALLERS_CLOCK, _SERVERS_CLOCK))
    broker.scripts = broker.scripts | {"dispatch": script}


def waiting_key(broker: RedisBroker, queue: str) -> str:
    """Return the key of the list of waiting messages."""
    return f"{broker.namespace}:{queue}"


def messages_key(broker: RedisBroker, queue: str) -> str:
    """Return the key of the hash of all messages, waiting or fetched."""
    return f"{broker.namespace}:{queue}.msgs"


def fetched_key(broker: RedisBroker, queue: str) -> str:
    """Return the key of the set of messages that this process has fetched and not acknowledged."""
    return f"{broker.namespace}:__acks__.{broker.broker_id}.{queue}"


def redis_id(message: Message[Any] | MessageProxy) -> bytes:
    """Return the id under which a message is stored."""
    return str(message.options[_MESSAGE_ID]).encode()


def enqueue(broker: RedisBroker, message: Message[Any], message_id: str, pipeline: redis.client.Pipeline) -> None:
    """Add to a pipeline what `RedisBroker.enqueue` does in a round trip of its own, with a given message id."""
    encoded = message.copy(options={_MESSAGE_ID: message_id}).encode()
    arguments = ["enqueue", current_millis(), message.queue_name, broker.broker_id, broker.heartbeat_timeout]
    arguments += [broker.dead_message_ttl, 0, 0, message_id, encoded]  # no maintenance by producers
    # By its text: for a script by its hash, a pipeline first asks the server in a round trip whether it knows it.
    script = broker.scripts["dispatch"].script
    pipeline.eval(script, 1, broker.namespace, *arguments)  # type: ignore[arg-type] # bytes will do


def fetch(broker: RedisBroker, queue: str, count: int) -> list[bytes]:
    """Fetch up to `count` encoded messages; with 0, only send the heartbeat that each script call sends."""
    # A message without data was purged meanwhile.
    return [data for data in broker.do_fetch(queue, count) if data]


def requeue(broker: RedisBroker, queue: str, message_ids: Iterable[bytes]) -> None:
    """Return fetched messages to the queue."""
    broker.do_requeue(queue, *message_ids)


def set_restart_delay(seconds: float) -> None:
    """Set the pause after a lost connection: of all consumers, and of threads with a message to acknowledge."""
    worker.CONSUMER_RESTART_DELAY_SECS = seconds
    worker.POST_PROCESS_MESSAGE_RETRY_DELAY_SECS = seconds  # type: ignore[assignment] # it is only slept
