"""A gateway's side of instant calls over the broker, as `common/infra/instant/instant_calls.py` describes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID, uuid4

import redis
from redis import asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.common.domain.errors import Unavailable
from services.common.domain.instant import InstantOutcome, outcome_from_json
from services.common.infra import log
from services.common.infra.instant.direct_calls import Direct
from services.common.infra.instant.instant_calls import ID_BYTES, OUTCOME, READY, RESULT, SEND, gateway_channel
from services.common.infra.messaging.broker import broker_errors
from services.common.infra.tasks import end_task

RECONNECT_SECONDS = 0.5
"""Pause after a lost connection."""
LISTEN_SECONDS = 1.5
"""How long a call waits for the gateway to listen again."""

_log = log.get(__name__)


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
    """One call, in an event loop. Every method raises Unavailable without the broker."""

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
            kind, payload = event[:1], event[1 + ID_BYTES :]
            if kind == READY:
                return WorkerReady(listens=payload.decode())
            if kind == OUTCOME:
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
        with broker_errors():
            await self._client.publish(worker.listens, self.call_id.bytes + request)

    async def fetch(self) -> bytes:
        """Return a result that was not small."""
        with broker_errors():
            await self._client.publish(self._worker, self.call_id.bytes + SEND)
        while True:
            event = await self._next()
            if event[:1] == RESULT:
                return event[1 + ID_BYTES :]

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
        self._gateway_id = uuid4().bytes[: ID_BYTES // 2]
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
        call_id = UUID(bytes=self._gateway_id + uuid4().bytes[ID_BYTES // 2 :])
        exchange = self._exchanges[call_id.bytes] = GatewayExchange(self._client, call_id)
        try:
            yield exchange
        finally:
            del self._exchanges[call_id.bytes]

    async def _listen(self) -> None:
        while True:
            try:
                async with self._client.pubsub() as pubsub:
                    await pubsub.subscribe(gateway_channel(UUID(bytes=2 * self._gateway_id)))
                    while True:
                        message = await pubsub.get_message(timeout=None)
                        if message and message["type"] == "subscribe":
                            self._listening.set()
                        elif message and (exchange := self._exchanges.get(message["data"][1 : 1 + ID_BYTES])):
                            exchange.events.put_nowait(message["data"])
            except (redis.RedisError, OSError) as error:
                _log.warning("instant calls unavailable", error=str(error))
            except Exception:
                _log.exception("instant calls unavailable")  # any error: without this task no call is answered
            self._listening.clear()
            for exchange in self._exchanges.values():
                exchange.events.put_nowait(None)
            await asyncio.sleep(RECONNECT_SECONDS)
