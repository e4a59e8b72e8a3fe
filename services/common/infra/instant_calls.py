"""Instant calls over the broker: the queue has a call's id; its image and its result are published, never stored.

Publications (pub/sub) are in no file of the broker, whatever its persistence is, and nobody but those who listen gets
them. So nothing of a call remains anywhere, whichever process is killed (ADR 30).

    gateway                                   worker
    enqueues the id                  ──────►  takes the id from the queue
                                     ◄──────  READY, where it listens
    the request                      ──────►  works
                                     ◄──────  OUTCOME, with a small result or the size of a large one
    makes room, SEND                 ──────►
                                     ◄──────  RESULT

A gateway and a worker of the same machine find each other by the outcome of their first call; the next ones go
directly from one to the other while a child process is idle (`direct_calls`).

Gateways, and threads of workers, listen on one channel each as long as they live. The first half of a call's id names
the gateway. A publication that nobody receives ends the exchange: the other side is gone.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID, uuid4

import redis
from redis import asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.common.domain.errors import Unavailable
from services.common.domain.instant import InstantOutcome, InstantRequest, outcome_from_json, outcome_to_json
from services.common.infra import dramatiq_private as private
from services.common.infra import log
from services.common.infra.broker import Broker
from services.common.infra.direct_calls import DIRECT_BYTES, Direct, DirectListener
from services.common.infra.messages import INSTANT_QUEUE, run_instant_call
from services.common.infra.tasks import end_task

RECONNECT_SECONDS = 0.5
"""Pause after a lost connection."""
LISTEN_SECONDS = 1.5
"""How long a call waits for the gateway to listen again."""
ANSWER_SECONDS = 5.0
"""How long a worker waits for its gateway, which answers at once or is gone."""

_log = log.get(__name__)
_CHANNEL = "imageblur:instant:"
_ID_BYTES = 16
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
        refused = 0
        with _translated():
            ids = cast("list[bytes]", self._broker.client.lrange(self._keys[0], 0, -1))
            for call_id in (UUID(message_id.decode().partition(".")[0]) for message_id in ids):
                self.withdraw(call_id)
                event = b"".join((_OUTCOME, call_id.bytes, _head(outcome, 0), b"\n"))
                refused += bool(self._broker.client.publish(_gateway(call_id), event))
        return refused


@dataclass(frozen=True, kw_only=True)
class TakenCall:
    """A call that a worker has taken."""

    call_id: UUID
    request: InstantRequest


class WorkerExchange:
    """A worker's side of calls, one after another in the same thread; blocking.

    Every method raises Unavailable if the broker cannot be reached.
    """

    def __init__(self, client: redis.Redis, listener: DirectListener) -> None:
        self._client = client
        self._listener = listener
        self._listens = f"{_CHANNEL}{uuid4()}"
        self._pubsub: Any = None

    def take(self, call_id: UUID) -> TakenCall | None:
        """Ask the gateway for the request of a call; None if the caller is gone."""
        with _translated():
            if self._pubsub is None:
                self._pubsub = self._client.pubsub(ignore_subscribe_messages=False)  # type: ignore[no-untyped-call]
                self._pubsub.subscribe(self._listens)
                self._pubsub.get_message(timeout=ANSWER_SECONDS)  # the confirmation
            if not self._client.publish(_gateway(call_id), _READY + call_id.bytes + self._listens.encode()):
                return None
            request = self._receive(call_id)
        return TakenCall(call_id=call_id, request=InstantRequest.decode(request)) if request else None

    def finish(self, call_id: UUID, outcome: InstantOutcome, result: bytes = b"") -> bool:
        """Hand over an outcome, with the bytes of a result if there is one; False if the caller is gone."""
        gateway, direct = _gateway(call_id), result if len(result) <= DIRECT_BYTES else b""
        head = _head(outcome, len(result), self._listener.direct)
        with _translated():
            if not self._client.publish(gateway, b"".join((_OUTCOME, call_id.bytes, head, b"\n", direct))):
                return False
            if direct or not result:
                return True
            wanted = self._receive(call_id) == _SEND
            return wanted and bool(self._client.publish(gateway, b"".join((_RESULT, call_id.bytes, result))))

    def _receive(self, call_id: UUID) -> bytes | None:
        """Return what the gateway sends next about a call; None if nothing comes."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            message = self._pubsub.get_message(timeout=left)
            # Not what was sent too late about an earlier call, nor the confirmation of a renewed connection.
            if message and message["type"] == "message" and message["data"].startswith(call_id.bytes):
                return bytes(message["data"][_ID_BYTES:])
        return None


@dataclass(frozen=True, kw_only=True)
class WorkerReady:
    """A worker has taken the call and asks for its request."""

    listens: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A worker is done."""

    outcome: InstantOutcome
    result_bytes: int
    """Size of the result."""
    result: bytes
    """The result, if it was small; else `GatewayExchange.fetch` returns it."""
    direct: Direct | None
    """Where the worker takes calls of this machine."""


class GatewayExchange:
    """A gateway's side of one call, in an event loop. Every method raises Unavailable without the broker."""

    def __init__(self, client: "aioredis.Redis", call_id: UUID) -> None:
        self.call_id = call_id
        self._client = client
        self._worker = ""
        self.events: asyncio.Queue[bytes | None] = asyncio.Queue()
        """Publications about the call; None when the broker was lost."""

    async def wait(self) -> WorkerReady | Outcome:
        """Return what happens next; waits without end."""
        while True:
            event = await self._next()
            kind, payload = event[:1], event[1 + _ID_BYTES :]
            if kind == _READY:
                return WorkerReady(listens=payload.decode())
            if kind == _OUTCOME:
                head, _, result = payload.partition(b"\n")
                values = json.loads(head)
                outcome = outcome_from_json(values["outcome"])
                direct = values.get("direct")  # none from a worker of the version before
                return Outcome(
                    outcome=outcome,
                    result_bytes=values["result_bytes"],
                    result=result,
                    direct=direct and Direct(path=direct["path"], calls=direct["calls"]),
                )

    async def send(self, worker: WorkerReady, request: bytes) -> None:
        """Send the encoded request to a worker; one that is gone meanwhile does not get it."""
        self._worker = worker.listens
        with _translated():
            await self._client.publish(worker.listens, self.call_id.bytes + request)

    async def fetch(self) -> bytes:
        """Return a result that was not small."""
        with _translated():
            await self._client.publish(self._worker, self.call_id.bytes + _SEND)
        while True:
            event = await self._next()
            if event[:1] == _RESULT:
                return event[1 + _ID_BYTES :]

    async def _next(self) -> bytes:
        event = await self.events.get()
        if event is None:
            raise Unavailable("the connection to the broker was lost")
        return event


class GatewayExchanges:
    """The exchanges of a gateway, over one connection that listens."""

    def __init__(self, broker_url: str) -> None:
        # No retries: what was published while a connection was lost is lost.
        self._client = aioredis.Redis.from_url(
            broker_url, driver_info=None, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0)
        )
        self._gateway_id = uuid4().bytes[: _ID_BYTES // 2]
        self._exchanges: dict[bytes, GatewayExchange] = {}
        self._listening = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to listen."""
        self._task = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        """Stop to listen, and close all connections."""
        if self._task:
            await end_task(self._task)
        await self._client.aclose()

    @asynccontextmanager
    async def exchange(self) -> AsyncIterator[GatewayExchange]:
        """Make a call's exchange and listen to it until the block ends.

        Raises:
            Unavailable: The broker cannot be reached.
        """
        try:
            async with asyncio.timeout(LISTEN_SECONDS):
                await self._listening.wait()
        except TimeoutError:
            raise Unavailable("the broker cannot be reached") from None
        call_id = UUID(bytes=self._gateway_id + uuid4().bytes[_ID_BYTES // 2 :])
        exchange = self._exchanges[call_id.bytes] = GatewayExchange(self._client, call_id)
        try:
            yield exchange
        finally:
            del self._exchanges[call_id.bytes]

    async def _listen(self) -> None:
        while True:
            try:
                async with self._client.pubsub() as pubsub:
                    await pubsub.subscribe(_gateway(UUID(bytes=2 * self._gateway_id)))
                    while True:
                        message = await pubsub.get_message(timeout=None)
                        if message and message["type"] == "subscribe":
                            self._listening.set()
                        elif message and (exchange := self._exchanges.get(message["data"][1 : 1 + _ID_BYTES])):
                            exchange.events.put_nowait(message["data"])
            except (redis.RedisError, OSError) as error:
                _log.warning("instant calls unavailable", error=str(error))
            except Exception:
                _log.exception("instant calls unavailable")  # any error: without this task no call is answered
            self._listening.clear()
            for exchange in self._exchanges.values():
                exchange.events.put_nowait(None)
            await asyncio.sleep(RECONNECT_SECONDS)


def _gateway(call_id: UUID) -> str:
    return f"{_CHANNEL}{call_id.hex[:_ID_BYTES]}"


def _head(outcome: InstantOutcome, result_bytes: int, direct: Direct | None = None) -> bytes:
    values = {"outcome": outcome_to_json(outcome).decode(), "result_bytes": result_bytes}
    return json.dumps(values | ({"direct": vars(direct)} if direct else {})).encode()


def _message_id(call_id: UUID) -> str:
    return f"{call_id}.instant"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise Unavailable("the broker cannot be reached") from error
