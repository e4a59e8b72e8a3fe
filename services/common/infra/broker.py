"""The broker: hands ids to workers, and tells watchers that an order has changed.

It may lose everything at any time: the rows say what is to be done, and the scheduler's sweep sends again what is
missing. So sending never fails its caller, and no message is ever delayed or retried by the broker.
"""

import threading
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from typing import cast
from uuid import UUID, uuid4

import redis
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import current_millis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry

from services.common.domain.errors import ConfigurationError, Unavailable
from services.common.infra import log
from services.common.infra.consumer import PromptConsumer

CHANGED = "imageblur:changed"
"""The pub/sub channel that carries the ids (16 bytes each) of orders that have changed."""
ENDED = "imageblur:ended"
"""And of those in which nothing more will happen soon."""

_log = log.get(__name__)


class Broker(RedisBroker):
    """Dramatiq's Redis broker, set to recover in seconds, with sends in one round trip.

    `heartbeat_timeout`: messages of a worker that was killed return after 8 s. A Valkey that stalls for longer takes
    live workers for dead and hands their messages out twice, which does no harm: a claim holds once.
    `maintenance_chance`: on every command, or they would return after minutes.
    `most_held`: messages of a queue that this process holds at a time, where it is not as many as it has threads.
    """

    def __init__(
        self, client: redis.Redis, queues: Iterable[str], *, most_held: Mapping[str, int] | None = None
    ) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            client=client, middleware=[], heartbeat_timeout=8_000, maintenance_chance=1_000_000
        )
        self._held: defaultdict[str, set[bytes]] = defaultdict(set)
        self._most_held = most_held or {}
        self._gates: defaultdict[str, threading.Event] = defaultdict(_opened)
        for queue in queues:
            self.declare_queue(queue)

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue, without the delay queue that Dramatiq adds: nothing here is ever delayed by the broker."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> PromptConsumer:
        """A consumer of a queue that holds at most `prefetch` messages, or as many as were set for the queue."""
        prefetch = self._most_held.get(queue_name, prefetch)
        return PromptConsumer(self, queue_name, prefetch, timeout, self._held[queue_name], gate=self._gates[queue_name])

    def leave_alone(self, paused: Container[str]) -> None:
        """Take no message of these queues any more, and of the others again."""
        for queue in self.queues:
            gate = self._gates[queue]
            if queue in paused:
                gate.clear()
            else:
                gate.set()

    def depths(self, queue: str) -> tuple[int, int]:
        """How many messages of a queue wait, and how many workers have.

        Raises:
            Unavailable: The broker cannot be reached.
        """
        pipeline = self.client.pipeline(transaction=False)
        pipeline.llen(f"{self.namespace}:{queue}")
        pipeline.hlen(f"{self.namespace}:{queue}.msgs")
        try:
            waiting, known = pipeline.execute()
        except redis.RedisError as error:
            raise Unavailable("the broker cannot be reached") from error
        return waiting, max(0, known - waiting)

    def busy(self, queue: str) -> int:
        """How many messages of a queue this process has."""
        return len(self._held[queue])

    def send(self, messages: Iterable[Message[None]]) -> None:
        """Enqueue messages in one round trip; what is lost is sent again by the sweep."""
        pipeline = self.client.pipeline(transaction=False)
        for message in messages:
            key = f"{message.args[0]}.{uuid4()}"
            encoded = message.copy(options={"redis_message_id": key}).encode()
            # The arguments of dramatiq's own script, which its `enqueue` passes for one message at a time.
            arguments = ["enqueue", current_millis(), message.queue_name, self.broker_id, self.heartbeat_timeout]
            arguments += [self.dead_message_ttl, 0, 0, key, encoded]
            self.scripts["dispatch"](keys=[self.namespace], args=arguments, client=pipeline)
        self._execute(pipeline, "messages")

    def announce(self, *order_ids: UUID, ended: bool = False) -> None:
        """Tell watchers that orders have changed, or ended, which they tell at once; a lost hint costs a moment."""
        pipeline = self.client.pipeline(transaction=False)
        for order_id in order_ids:
            pipeline.publish(ENDED if ended else CHANGED, order_id.bytes)
        self._execute(pipeline, "announcement")

    def subjects(self, queue: str) -> list[str]:
        """The ids that the messages in a queue, waiting or being handled, are about; twice where two are.

        Raises:
            Unavailable: The broker cannot be reached.
        """
        try:
            keys = cast("list[bytes]", self.client.hkeys(f"{self.namespace}:{queue}.msgs"))
        except redis.RedisError as error:
            raise Unavailable("the broker cannot be reached") from error
        return [key.decode().partition(".")[0] for key in keys]

    def depth(self, queue: str) -> int:
        """How many messages are in a queue, waiting or being handled.

        Raises:
            Unavailable: The broker cannot be reached.
        """
        try:
            return cast("int", self.client.hlen(f"{self.namespace}:{queue}.msgs"))
        except redis.RedisError as error:
            raise Unavailable("the broker cannot be reached") from error

    def ping(self) -> None:
        """Reach the broker or raise Unavailable."""
        try:
            self.client.ping()
        except redis.RedisError as error:
            raise Unavailable("the broker cannot be reached") from error

    def _execute(self, pipeline: redis.client.Pipeline, what: str) -> None:
        if not len(pipeline):
            return
        try:
            pipeline.execute()
        except redis.RedisError as error:
            _log.warning("not sent, the sweep will", what=what, error=str(error))


def _opened() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def connect(url: str, *queues: str, hasty: bool = False, most_held: Mapping[str, int] | None = None) -> Broker:
    """A broker for these queues; connects when first used.

    `hasty`: for those who have somebody waiting for them. They give a command a second, and one that took longer is not
    tried again: a stalled broker would cost them the same time once more, and the sweep sends what is missing.

    Raises:
        ConfigurationError: The URL is malformed.
    """
    try:
        client = redis.Redis.from_url(
            url,
            socket_timeout=1 if hasty else 10,
            socket_connect_timeout=1 if hasty else 5,
            retry=Retry(NoBackoff(), 1, (redis.ConnectionError,))
            if hasty
            else Retry(ExponentialBackoff(cap=1, base=0.05), 3, (redis.ConnectionError, redis.TimeoutError)),
        )
    except ValueError as error:
        raise ConfigurationError(f"IMAGEBLUR_BROKER_URL: {error}") from None
    return Broker(client, queues, most_held=most_held)
