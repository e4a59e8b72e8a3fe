"""The use case of instant calls: admit, hand the image to a worker by the broker, wait, and leave nothing."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from services.common.domain.errors import (
    InvalidArgument,
    MessageTooLarge,
    Reason,
    ResourceExhausted,
    Unavailable,
    Violation,
)
from services.common.domain.instant import InstantAnswer, InstantOutcome, InstantRefusal, InstantRequest, ResultTooLarge
from services.common.infra import log
from services.common.infra.blobs.writer import uninterrupted
from services.gateway.instant.direct_workers import DirectWorkers
from services.gateway.instant.exchanges import GatewayExchange, GatewayExchanges, Outcome
from services.gateway.instant.paused_queue import QueuePause
from services.gateway.instant.queue import InstantQueue
from services.gateway.orders.placement.broker_check import BrokerCheck
from services.gateway.rpc.callers import rate_limit_key
from services.gateway.rpc.limits.byte_budget import CURRENT_RESERVATION, ByteBudget
from services.gateway.rpc.thread_pool import ThreadPool

TAKE_SECONDS = 12.0
"""How long a call waits for a worker to take it. Messages that a killed worker held return after eight seconds."""
MAX_WORKERS = 2
"""A call is sent to another worker once, if the first is killed."""
FULL_RETRY_SECONDS = 1.0
"""RetryInfo when the queue is full: calls take about a second."""

_log = log.get(__name__)


@dataclass(frozen=True, kw_only=True)
class SendInstantCall:
    """Makes instant calls."""

    queue: InstantQueue
    exchanges: GatewayExchanges
    direct: DirectWorkers
    threads: ThreadPool
    broker_check: BrokerCheck
    paused: QueuePause
    seconds: float
    """Longest time that a call takes."""
    max_calls: int
    """In the queue or taken from it, over all gateways."""
    share: ByteBudget
    """Budget for the bytes of the images that wait here for a worker."""

    async def __call__(
        self, request: InstantRequest, field: str, *, counted: bool = True
    ) -> tuple[InstantAnswer, bytes]:
        """Return what a worker answers, and the bytes of the result.

        Args:
            request: What to do.
            field: Path of the image's bytes in the caller's request, for errors.
            counted: Whether the rate limit counts the call, like an order.

        Raises:
            InvalidArgument: The image cannot be blurred; with the reason.
            MessageTooLarge: The result is larger than a message may be.
            ResourceExhausted: The caller is over the rate limit, or too many calls are waiting.
            Unavailable: The broker is unavailable, the queue is paused, or no worker answered in time.
        """
        key = rate_limit_key()
        if counted:
            self.broker_check.check_rate(key)
        await self.paused.check()
        if counted:
            await self.broker_check.count_order(key, images=1, ping=False)
        async with self.share.reserve(min(len(request.data), self.share.capacity)):
            try:
                async with asyncio.timeout(self.seconds):
                    return await self._ask_directly(request, field) or await self._exchange(request, field)
            except TimeoutError:
                raise Unavailable("no worker answered in time") from None

    async def _ask_directly(self, request: InstantRequest, field: str) -> tuple[InstantAnswer, bytes] | None:
        """Have an idle worker of this machine answer; return None if there is none."""
        answer = await self.direct.call(request, CURRENT_RESERVATION.get().grow)
        return answer and (_answer_of(answer[0], field), answer[1])

    async def _exchange(self, request: InstantRequest, field: str) -> tuple[InstantAnswer, bytes]:
        async with self.exchanges.exchange() as exchange:
            try:
                # To its end even if the caller disconnects: the clean-up has to come after it.
                await uninterrupted(self.threads.run_to_end(self._enqueue, exchange.call_id))
                outcome = await self._outcome(exchange, request)
                if outcome.direct:
                    self.direct.learn(outcome.direct)
                answer = _answer_of(outcome.outcome, field)
                if outcome.result_bytes == len(outcome.result):
                    return answer, outcome.result
                # Only now, when there is room for it, is the result sent here.
                await CURRENT_RESERVATION.get().grow(outcome.result_bytes)
                return answer, await exchange.fetch()
            except BaseException:
                # Shielded: a client that disconnects cancels its call, and must not cancel the clean-up.
                await asyncio.shield(self.threads.run_to_end(self._withdraw, exchange.call_id))
                raise

    def _enqueue(self, call_id: UUID) -> None:
        if not self.queue.enqueue(call_id, max_calls=self.max_calls):
            message = f"the queue is full: it holds {self.max_calls} instant calls"
            raise ResourceExhausted("QUEUE_FULL", "instant calls", message, retry_seconds=FULL_RETRY_SECONDS)

    def _withdraw(self, call_id: UUID) -> None:
        try:
            self.queue.withdraw(call_id)
        except Unavailable as error:
            _log.warning("instant call not withdrawn: a worker will find it abandoned", error=str(error))

    async def _outcome(self, exchange: GatewayExchange, request: InstantRequest) -> Outcome:
        """Send the request to the worker that takes the call, and to another one if the first is killed."""
        encoded = request.encode()
        async with asyncio.timeout(TAKE_SECONDS):
            event = await exchange.wait()
        for _ in range(MAX_WORKERS):
            if isinstance(event, Outcome):
                return event
            await exchange.send(event, encoded)
            event = await exchange.wait()
        if isinstance(event, Outcome):
            return event
        raise Unavailable("the workers that took the call ended before they answered")


def _answer_of(outcome: InstantOutcome, field: str) -> InstantAnswer:
    match outcome:
        case InstantAnswer():
            return outcome
        case ResultTooLarge():
            raise MessageTooLarge("the result is larger than a message may be: place an order")
        case InstantRefusal(reason=None, message=message):
            raise Unavailable(message)
        case InstantRefusal(reason=Reason() as reason, message=message):
            raise InvalidArgument(Violation(field, message), reason=reason.value)
    raise AssertionError(outcome)
