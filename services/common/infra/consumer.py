"""A consumer that hands a message on within milliseconds, and costs next to nothing while there is none.

Dramatiq's own consumer sleeps between looks, up to a second, both when its queue is empty and when it may hold no more
messages. This one waits for the event itself: for the queue's first message (a BLMOVE of the list's head onto itself
blocks, yet takes nothing), or for one of its own messages to be done. Dramatiq's scripts move the messages, as ever.
"""

import contextlib
import threading
import time
from collections.abc import Iterator

import redis
from dramatiq import Message, MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import ConnectionClosed

WAIT_SECONDS = 1.0
"""Longest wait at a time: a waiting consumer must see that it is to stop, and tell the broker that it is alive."""
MOMENT_SECONDS = 0.005
"""So long the last message that may be held is left to others that hold fewer."""
AUDIT_SECONDS = 5.0
"""How often the broker's list of what this process holds is compared with what it does hold."""


class PromptConsumer(_RedisConsumer):
    """Consumes one queue.

    Messages that the broker has handed out but that never arrived (the connection broke between) would count as held by
    this process for as long as it lives. An audit finds and requeues them: what is in the broker's list of this
    process, but not in `held`, the keys of messages that did arrive.
    """

    def __init__(
        self,
        broker: RedisBroker,
        queue_name: str,
        prefetch: int,
        timeout: int,
        held: set[bytes],
        *,
        gate: threading.Event,
    ) -> None:
        super().__init__(broker, queue_name, prefetch, timeout)  # type: ignore[no-untyped-call]
        self._key = f"{broker.namespace}:{queue_name}"
        self._acks_key = f"{broker.namespace}:__acks__.{broker.broker_id}.{queue_name}"
        # The broker's, since a consumer is made anew after a lost connection while its messages are still handled.
        self._held = held
        # Set while messages may be taken: an operator can have the queue left alone.
        self._gate = gate
        self._one_is_done = threading.Event()
        self._audited_at = float("-inf")

    def ack(self, message: MessageProxy) -> None:
        """The message was handled."""
        with _translated():
            super().ack(message)  # type: ignore[no-untyped-call]
        self._done(message)

    def nack(self, message: MessageProxy) -> None:
        """The message cannot be handled."""
        with _translated():
            super().nack(message)  # type: ignore[no-untyped-call]
        self._done(message)

    def close(self) -> None:
        """Give back what was fetched and not handed on."""
        unhandled: list[Message[object]] = [Message.decode(data) for data in self.message_cache]
        self.message_cache = []
        # First: where they cannot be given back now, the audit finds them.
        self._held.difference_update(message.options["redis_message_id"].encode() for message in unhandled)
        with contextlib.suppress(redis.RedisError):
            self.requeue(unhandled)  # type: ignore[no-untyped-call]

    def __next__(self) -> MessageProxy | None:
        """The next message, or None after a wait without one."""
        if not self.message_cache:
            with _translated():
                self._audit()
                self.message_cache = self._fetch()
        if not self.message_cache:
            return None
        message: Message[object] = Message.decode(self.message_cache.pop(0))
        self.queued_message_ids.add(message.message_id)
        return MessageProxy(message)

    def _fetch(self) -> list[bytes]:
        self._one_is_done.clear()
        if not self._gate.is_set():
            if not self._gate.wait(WAIT_SECONDS):
                self._take(0)  # a sign of life
            return []
        free = self.prefetch - self.outstanding_message_count
        if free <= 0:
            if not self._one_is_done.wait(WAIT_SECONDS):
                self._take(0)  # takes nothing, but is a sign of life
            return []
        messages = self._take_politely(free)
        if not messages and self.broker.client.blmove(self._key, self._key, WAIT_SECONDS, "LEFT", "LEFT"):
            # It may have been paused meanwhile: then the message stays where it is.
            messages = self._take_politely(free) if self._gate.is_set() else self._take(0)
        return messages

    def _take_politely(self, free: int) -> list[bytes]:
        if free > 1:
            return self._take(free - 1)
        if self.prefetch > 1:
            self._one_is_done.wait(MOMENT_SECONDS)
        return self._take(free)

    def _take(self, count: int) -> list[bytes]:
        # A message without its data was purged between the two.
        messages = [data for data in self.broker.do_fetch(self.queue_name, count) if data]
        self._held.update(Message.decode(data).options["redis_message_id"].encode() for data in messages)
        return messages

    def _audit(self) -> None:
        if time.monotonic() < self._audited_at + AUDIT_SECONDS:
            return
        # Only this thread adds to what is held, and what is done leaves the broker's list first: no race.
        lost = self.broker.client.smembers(self._acks_key) - self._held
        if lost:
            self.logger.warning("Requeueing %d messages that never arrived.", len(lost))
            self.broker.do_requeue(self.queue_name, *lost)
        self._audited_at = time.monotonic()

    def _done(self, message: MessageProxy) -> None:
        self._held.discard(message.options["redis_message_id"].encode())
        self._one_is_done.set()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    # A broker that stalls is as good as away: told so, the worker tries again until it has acknowledged.
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
