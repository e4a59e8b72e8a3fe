"""A consumer that hands a message on within milliseconds, and costs next to nothing while there is none.

Dramatiq's own consumer sleeps up to a second when its queue is empty, and when it has as many messages as it may. This
one waits for the event itself: for the queue's first message (BLMOVE of the list's head onto itself blocks without
taking anything), or for one of its own messages to be done. Messages are moved by dramatiq's own scripts.
"""

import contextlib
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterator

import redis
from dramatiq import Message, MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import ConnectionClosed

from services.common.infra.messaging import dramatiq_private as private

WAIT_SECONDS = 1.0
"""Longest wait at a time: a waiting consumer must notice that it is to stop, and send heartbeats."""
YIELD_SECONDS = 0.005
"""So long a worker leaves a message to others when it may take only one more."""
AUDIT_SECONDS = 5.0
"""How often the broker's list of fetched messages is compared with those that did arrive."""


class HeldMessages:
    """The messages that this process has of each queue: ids of those that arrived and are not done.

    A process that serves several queues with the same threads takes no more messages than it has threads for them: a
    message would wait for these threads while another process has an idle one.
    """

    def __init__(self, shared: Collection[str] = (), most_shared: int = 0) -> None:
        """`shared`: queues of which at most `most_shared` messages are held together."""
        self._shared = shared
        self._most_shared = most_shared
        self._ids: defaultdict[str, set[bytes]] = defaultdict(set)
        self._on_done: set[threading.Event] = set()
        self.lock = threading.Lock()
        """Held from the look at what is free until the messages that were taken are added."""

    def of(self, queue: str) -> set[bytes]:
        """Return the ids of a queue's messages, to be changed by its consumer."""
        return self._ids[queue]

    def count_free(self, queue: str) -> int:
        """Return how many more messages of a queue may be taken."""
        return self._most_shared - self._count_shared() if queue in self._shared else sys.maxsize

    def is_largest(self, queue: str) -> bool:
        """Return whether most of the shared messages are of this queue: then another one comes first."""
        return queue in self._shared and 2 * len(self._ids[queue]) > self._count_shared()

    def watch(self, event: threading.Event) -> None:
        """Set an event each time that a message is done."""
        self._on_done.add(event)

    def unwatch(self, event: threading.Event) -> None:
        """Set it no longer."""
        self._on_done.discard(event)

    def done(self, queue: str, message_id: bytes) -> None:
        """Record that a message is done."""
        self._ids[queue].discard(message_id)
        for event in tuple(self._on_done):
            event.set()

    def _count_shared(self) -> int:
        return sum(len(self._ids[queue]) for queue in self._shared)


class PromptConsumer(private.RedisConsumer):
    """Consumes one queue.

    Messages that the broker has handed out but that never arrived (the connection broke) would count as fetched for as
    long as this process lives. An audit requeues them: those that are in the broker's list, but not held.

    Every error of the broker counts as a lost connection, since dramatiq gives an acknowledgement up for any other: one
    that was refused (READONLY of a replica, MISCONF after a failed save, OOM) is repeated until it is accepted. Given
    up, its message would be fetched for ever by a process that will not touch it again, and the sweep would not replace
    it.
    """

    def __init__(
        self,
        broker: RedisBroker,
        queue_name: str,
        prefetch: int,
        timeout: int,
        held: HeldMessages,
        *,
        resumed: threading.Event,
    ) -> None:
        """`resumed`: set while messages may be taken."""
        super().__init__(broker, queue_name, prefetch, timeout)  # type: ignore[no-untyped-call]
        self._waiting_key = private.waiting_key(broker, queue_name)
        self._fetched_key = private.fetched_key(broker, queue_name)
        # Of the broker: a consumer is replaced after a lost connection while its messages are still handled.
        self._all_held = held
        self._held = held.of(queue_name)
        self._resumed = resumed
        self._one_is_done = threading.Event()
        held.watch(self._one_is_done)
        self._audited_at = float("-inf")

    def ack(self, message: MessageProxy) -> None:
        """Report that a message was handled."""
        with self._as_lost_connection():
            super().ack(message)  # type: ignore[no-untyped-call]
        self._done(message)

    def nack(self, message: MessageProxy) -> None:
        """Report that a message cannot be handled."""
        with self._as_lost_connection():
            super().nack(message)  # type: ignore[no-untyped-call]
        self._done(message)

    def close(self) -> None:
        """Return the messages that were fetched and not handed on."""
        self._all_held.unwatch(self._one_is_done)
        ids = {private.redis_id(Message.decode(data)) for data in self.message_cache}
        self.message_cache = []
        # First: if they cannot be returned now, the audit finds them.
        self._held.difference_update(ids)
        if ids:
            with contextlib.suppress(redis.RedisError):
                private.requeue(self.broker, self.queue_name, ids)

    def __next__(self) -> MessageProxy | None:
        """Return the next message, or None after a wait without one."""
        if not self.message_cache:
            with self._as_lost_connection():
                self._audit()
                self.message_cache = self._fetch()
        if not self.message_cache:
            return None
        message: Message[object] = Message.decode(self.message_cache.pop(0))
        self.queued_message_ids.add(message.message_id)
        return MessageProxy(message)

    def _fetch(self) -> list[bytes]:
        self._one_is_done.clear()
        if not self._resumed.is_set():
            if not self._resumed.wait(WAIT_SECONDS):
                self._send_heartbeat()
            return []
        # Of all consumers of the queue: messages of one that was replaced may still be handled.
        free = min(self.prefetch - len(self._held), self._all_held.count_free(self.queue_name))
        if free <= 0:
            if not self._one_is_done.wait(WAIT_SECONDS):
                self._send_heartbeat()
            return []
        messages = self._take_all_but_one(free)
        if not messages and self.broker.client.blmove(
            self._waiting_key, self._waiting_key, WAIT_SECONDS, "LEFT", "LEFT"
        ):
            if self._resumed.is_set():
                return self._take_all_but_one(free)
            self._send_heartbeat()  # paused meanwhile: the message stays in the queue
        return messages

    def _take_all_but_one(self, free: int) -> list[bytes]:
        """Leave the last place free for a moment, so that workers with fewer messages take theirs first."""
        if free > 1:
            return self._take(free - 1)
        if self.prefetch > 1:
            self._one_is_done.wait(2 * YIELD_SECONDS if self._all_held.is_largest(self.queue_name) else YIELD_SECONDS)
        return self._take(free)

    def _send_heartbeat(self) -> None:
        private.fetch(self.broker, self.queue_name, 0)

    def _take(self, count: int) -> list[bytes]:
        with self._all_held.lock:
            if (count := min(count, self._all_held.count_free(self.queue_name))) <= 0:
                return []
            messages = private.fetch(self.broker, self.queue_name, count)
            self._held.update(private.redis_id(Message.decode(data)) for data in messages)
        return messages

    def _audit(self) -> None:
        if time.monotonic() < self._audited_at + AUDIT_SECONDS:
            return
        # Only this thread adds to `held`, and what is done leaves the broker's list first: no race.
        lost = self.broker.client.smembers(self._fetched_key) - self._held
        if lost:
            self.logger.warning("Requeueing %d messages that never arrived.", len(lost))
            private.requeue(self.broker, self.queue_name, lost)
        self._audited_at = time.monotonic()

    def _done(self, message: MessageProxy) -> None:
        self._all_held.done(self.queue_name, private.redis_id(message))

    @contextlib.contextmanager
    def _as_lost_connection(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            self._audited_at = float("-inf")
            if isinstance(error, redis.exceptions.ReadOnlyError):
                # The primary may be another server by now, which only a new connection finds.
                self.broker.client.connection_pool.disconnect(inuse_connections=False)
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
