"""Instant calls over the broker: the queue has a call's id; its image and its result are published, never stored.

Publications (pub/sub) are in no file of the broker, whatever its persistence is, and nobody but those who listen gets
them. So nothing of a call remains anywhere, whichever process is killed (ADR 30).

    gateway                                   worker
    listens, enqueues the id         ──────►  takes the id from the queue, listens
                                     ◄──────  READY, where it listens
    the request                      ──────►  works
                                     ◄──────  OUTCOME, with the size of a result
    makes room, SEND                 ──────►
                                     ◄──────  RESULT

A publication that nobody receives ends the exchange: the other side is gone.
"""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID, uuid4

import redis
from redis import asyncio as aioredis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.common.domain.errors import Unavailable
from services.common.domain.instant import InstantOutcome, InstantRequest, outcome_from_json, outcome_to_json
from services.common.infra import dramatiq_private as private
from services.common.infra.broker import Broker
from services.common.infra.messages import INSTANT_QUEUE, run_instant_call

ANSWER_SECONDS = 5.0
"""How long a worker waits for its gateway, which answers at once or is gone."""

_CHANNEL = "imageblur:instant:"
_READY, _OUTCOME, _RESULT, _SEND = b"R", b"O", b"D", b"S"
_WITHDRAW = "if redis.call('LREM', KEYS[1], 0, ARGV[1]) > 0 then redis.call('HDEL', KEYS[2], ARGV[1]) end"


class InstantQueue:
    """The queue of calls, for gateways; blocking. Every method raises Unavailable without the broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._keys = [private.waiting_key(broker, INSTANT_QUEUE), private.messages_key(broker, INSTANT_QUEUE)]
        self._withdraw = broker.client.register_script(_WITHDRAW)

    def enqueue(self, call_id: UUID, *, max_calls: int) -> bool:
        """Enqueue a call; False if `max_calls` wait or are worked on, over all gateways."""
        # One transaction: two calls at once cannot both take the last place.
        pipeline = self._broker.client.pipeline(transaction=True)
        pipeline.hlen(self._keys[1])
        private.enqueue(self._broker, run_instant_call(call_id), _message_id(call_id), pipeline)
        with _translated():
            before = int(pipeline.execute()[0])
        if before >= max_calls:
            self.withdraw(call_id)
            return False
        return True

    def withdraw(self, call_id: UUID) -> None:
        """Remove a call from the queue unless a worker has taken it."""
        with _translated():
            self._withdraw(keys=self._keys, args=[_message_id(call_id)])

    def refuse_waiting(self, outcome: InstantOutcome) -> int:
        """Withdraw all calls that no worker has taken, and answer them with this outcome; return their number."""
        with _translated():
            ids = cast("list[bytes]", self._broker.client.lrange(self._keys[0], 0, -1))
            refused = 0
            for call_id in (message_id.decode().partition(".")[0] for message_id in ids):
                self.withdraw(UUID(call_id))
                refused += bool(self._broker.client.publish(_CHANNEL + call_id, _OUTCOME + _head(outcome, 0)))
        return refused


class WorkerExchange:
    """A worker's side of one call; blocking."""

    def __init__(self, client: redis.Redis, call_id: UUID, pubsub: Any) -> None:
        self._client = client
        self._gateway = f"{_CHANNEL}{call_id}"
        self._pubsub = pubsub

    def ask(self) -> bytes | None:
        """Return the encoded request; None if the caller is gone.

        Raises:
            Unavailable: The broker cannot be reached.
        """
        listens = f"{_CHANNEL}{uuid4()}"
        with _translated():
            self._pubsub.subscribe(listens)
            self._receive()  # the confirmation
            return self._receive() if self._client.publish(self._gateway, _READY + listens.encode()) else None

    def finish(self, outcome: InstantOutcome, result: bytes = b"") -> bool:
        """Hand over an outcome, with the bytes of a result if there is one; False if the caller is gone.

        Raises:
            Unavailable: The broker cannot be reached.
        """
        with _translated():
            if not self._client.publish(self._gateway, _OUTCOME + _head(outcome, len(result))):
                return False
            if not result:
                return True
            return self._receive() == _SEND and bool(self._client.publish(self._gateway, _RESULT + result))

    def _receive(self) -> Any:
        message = self._pubsub.get_message(timeout=ANSWER_SECONDS)
        return message["data"] if message else None


@dataclass(frozen=True, kw_only=True)
class TakenCall:
    """A call that a worker has taken."""

    request: InstantRequest
    exchange: WorkerExchange


@contextmanager
def take_call(client: redis.Redis, call_id: UUID) -> Iterator[TakenCall | None]:
    """Ask the gateway for the request of a call, in a worker; None if the caller is gone.

    Raises:
        Unavailable: The broker cannot be reached.
    """
    with client.pubsub() as pubsub:  # type: ignore[no-untyped-call]
        exchange = WorkerExchange(client, call_id, pubsub)
        request = exchange.ask()
        yield TakenCall(request=InstantRequest.decode(request), exchange=exchange) if request else None


@dataclass(frozen=True, kw_only=True)
class WorkerReady:
    """A worker has taken the call and asks for its request."""

    listens: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A worker is done."""

    outcome: InstantOutcome
    result_bytes: int
    """Size of the result, which `GatewayExchange.fetch` returns."""


class GatewayExchange:
    """A gateway's side of one call, in an event loop. Every method raises Unavailable without the broker."""

    def __init__(self, client: "aioredis.Redis", pubsub: PubSub) -> None:
        self._client = client
        self._pubsub = pubsub
        self._worker = ""

    async def wait(self) -> WorkerReady | Outcome:
        """Return what happens next; waits without end."""
        while True:
            kind, payload = await self._receive()
            if kind == _READY:
                return WorkerReady(listens=payload.decode())
            if kind == _OUTCOME:
                head = json.loads(payload)
                return Outcome(outcome=outcome_from_json(head["outcome"]), result_bytes=head["result_bytes"])

    async def send(self, worker: WorkerReady, request: bytes) -> None:
        """Send the encoded request to a worker; one that is gone meanwhile does not get it."""
        self._worker = worker.listens
        with _translated():
            await self._client.publish(worker.listens, request)

    async def fetch(self) -> bytes:
        """Return the result."""
        with _translated():
            await self._client.publish(self._worker, _SEND)
        while True:
            kind, payload = await self._receive()
            if kind == _RESULT:
                return payload

    async def _receive(self) -> tuple[bytes, bytes]:
        with _translated():
            message = None
            while message is None:
                message = await self._pubsub.get_message(timeout=None)
        data: bytes = message["data"]
        return data[:1], data[1:]


class GatewayExchanges:
    """Makes the exchanges of a gateway."""

    def __init__(self, broker_url: str) -> None:
        # No retries: what was published while a connection was lost is lost.
        self._client = aioredis.Redis.from_url(broker_url, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0))

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    @asynccontextmanager
    async def listen(self, call_id: UUID) -> AsyncIterator[GatewayExchange]:
        """Listen to a call until the block ends.

        Raises:
            Unavailable: The broker cannot be reached.
        """
        pubsub = self._client.pubsub()
        try:
            with _translated():
                await pubsub.subscribe(f"{_CHANNEL}{call_id}")
                await pubsub.get_message(timeout=ANSWER_SECONDS)  # the confirmation
            yield GatewayExchange(self._client, pubsub)
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]


def _head(outcome: InstantOutcome, result_bytes: int) -> bytes:
    return json.dumps({"outcome": outcome_to_json(outcome).decode(), "result_bytes": result_bytes}).encode()


def _message_id(call_id: UUID) -> str:
    return f"{call_id}.instant"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise Unavailable("the broker cannot be reached") from error
