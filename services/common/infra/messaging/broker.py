"""The broker: messages with ids for workers, and change hints for watchers, over Valkey or Redis.

It may lose everything at any time: rows in the database record what is due, and the sweep enqueues again what
is missing. So sending never raises, and no message is delayed or retried by the broker.
"""

import threading
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast
from uuid import UUID, uuid4

import redis
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry

from services.common.domain.errors import ConfigurationError, Unavailable
from services.common.infra import log
from services.common.infra.messaging import dramatiq_private as private
from services.common.infra.messaging.consumer import HeldMessages, PromptConsumer

CHANGED = "imageblur:changed"
"""The pub/sub channel that carries the ids (16 bytes each) of orders that have changed."""
ENDED = "imageblur:ended"
"""The channel of orders that have ended, or of which nothing more will change soon."""

_log = log.get(__name__)


class Broker(RedisBroker):
    """Dramatiq's Redis broker, set to recover in seconds, with sends in one round trip.

    `heartbeat_timeout`: messages of a killed worker return to the queue after 8 s. If Valkey stalls for longer, it
    takes live workers for dead and hands out their messages twice. That does no harm: rows are claimed once.
    `maintenance_chance`: on every command, or those messages would return after minutes.
    """

    def __init__(
        self,
        client: redis.Redis,
        queues: Iterable[str],
        *,
        most_held: Mapping[str, int] | None = None,
        shared: Collection[str] = (),
        most_shared: int = 0,
    ) -> None:
        """Make a broker; it connects when first used.

        Args:
            client: The connection.
            queues: The queues to declare.
            most_held: Most messages that this process holds of a queue, where it is not the consumer's prefetch.
            shared: Queues that the same threads serve.
            most_shared: Most messages that this process holds of them together.
        """
        super().__init__(  # type: ignore[no-untyped-call]
            client=client, middleware=[], heartbeat_timeout=8_000, maintenance_chance=1_000_000
        )
        private.use_servers_clock(self)
        self._held = HeldMessages(shared, most_shared)
        self._most_held = most_held or {}
        self._resumed: defaultdict[str, threading.Event] = defaultdict(_set_event)
        for queue in queues:
            self.declare_queue(queue)

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue, without the delay queue that dramatiq adds: the broker never delays messages here."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> PromptConsumer:
        """Return a consumer of a queue that holds at most `prefetch` messages, or as many as `most_held` allows."""
        prefetch = self._most_held.get(queue_name, prefetch)
        resumed = self._resumed[queue_name]
        return PromptConsumer(self, queue_name, prefetch, timeout, self._held, resumed=resumed)

    def set_paused(self, paused: Container[str]) -> None:
        """Take no more messages of these queues, and messages of all others again."""
        for queue in self.queues:
            if queue in paused:
                self._resumed[queue].clear()
            else:
                self._resumed[queue].set()

    def count_held(self, queue: str) -> int:
        """Return how many messages of a queue this process holds."""
        return len(self._held.of(queue))

    def is_idle(self, *queues: str) -> bool:
        """Return whether this process has no message of these queues, and may take one of each."""
        return all(self._resumed[queue].is_set() and not self._held.of(queue) for queue in queues)

    def held_subjects(self, queue: str) -> set[str]:
        """Return the ids in the messages of a queue that this process holds."""
        return set(_subjects(self._held.of(queue).copy()))

    def depths(self, queue: str) -> tuple[int, int]:
        """Return how many messages of a queue wait, and how many workers hold.

        Raises:
            Unavailable: The broker cannot be reached.
        """
        pipeline = self.client.pipeline(transaction=False)
        pipeline.llen(private.waiting_key(self, queue))
        pipeline.hlen(private.messages_key(self, queue))
        with broker_errors():
            waiting, known = pipeline.execute()
        return waiting, max(0, known - waiting)

    def subjects(self, queue: str) -> list[str]:
        """Return the ids in all messages of a queue, waiting or held; twice if there are two messages.

        Raises:
            Unavailable: The broker cannot be reached.
        """
        with broker_errors():
            keys = cast("list[bytes]", self.client.hkeys(private.messages_key(self, queue)))
        return list(_subjects(keys))

    def send(self, messages: Iterable[Message[None]]) -> None:
        """Enqueue messages in one round trip; the sweep enqueues again what is lost."""
        pipeline = self.client.pipeline(transaction=False)
        for message in messages:
            private.enqueue(self, message, f"{message.args[0]}.{uuid4()}", pipeline)
        self._execute(pipeline, "messages")

    def announce(self, *order_ids: UUID, ended: bool = False) -> None:
        """Publish change hints for watchers; they report an ended order at once. A lost hint costs a moment."""
        if not order_ids:
            return
        pipeline = self.client.pipeline(transaction=False)
        for order_id in order_ids:
            pipeline.publish(ENDED if ended else CHANGED, order_id.bytes)
        self._execute(pipeline, "announcement")

    def ping(self) -> None:
        """Reach the broker or raise Unavailable."""
        with broker_errors():
            self.client.ping()

    def _execute(self, pipeline: redis.client.Pipeline, what: str) -> None:
        if not len(pipeline):
            return
        try:
            pipeline.execute()
        except (redis.RedisError, OSError) as error:
            _log.warning("not sent, the sweep will", what=what, error=str(error))


def _subjects(message_ids: Iterable[bytes]) -> Iterator[str]:
    """Return the ids that messages contain, by the messages' own ids (`send`)."""
    return (message_id.decode().partition(".")[0] for message_id in message_ids)


def _set_event() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@contextmanager
def broker_errors() -> Iterator[None]:
    """Raise Unavailable for errors of the broker."""
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise Unavailable("the broker cannot be reached") from error


def connect(
    url: str,
    *queues: str,
    fail_fast: bool = False,
    most_held: Mapping[str, int] | None = None,
    shared: Collection[str] = (),
    most_shared: int = 0,
) -> Broker:
    """Return a broker for these queues; it connects when first used.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        queues: The queues to declare.
        fail_fast: For services whose callers wait: a command takes a second at most, and one that took longer is not
            retried. A stalled broker would cost the same time again, and the sweep enqueues what is missing.
        most_held: As of `Broker`.
        shared: As of `Broker`.
        most_shared: As of `Broker`.

    Raises:
        ConfigurationError: The URL is malformed.
    """
    try:
        client = redis.Redis.from_url(
            url,
            driver_info=None,  # or each connection reads a file to name the library: not without a descriptor
            socket_timeout=1 if fail_fast else 10,
            socket_connect_timeout=1 if fail_fast else 5,
            retry=Retry(NoBackoff(), 1, (redis.ConnectionError,))
            if fail_fast
            else Retry(ExponentialBackoff(cap=1, base=0.05), 3, (redis.ConnectionError, redis.TimeoutError)),
        )
    except ValueError as error:
        raise ConfigurationError(f"IMAGEBLUR_BROKER_URL: {error}") from None
    return Broker(client, queues, most_held=most_held, shared=shared, most_shared=most_shared)
