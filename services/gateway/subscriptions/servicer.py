"""SubscriptionService: parses each request and calls a use case."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from grpc import aio
from imageblur.v1 import subscription_service_pb2 as pb
from imageblur.v1.subscription_service_pb2_grpc import SubscriptionServiceServicer
from redis.exceptions import RedisError

from services.common.domain.errors import InvalidArgument, Violation
from services.common.infra import log
from services.gateway.rpc.callers import rate_limit_key
from services.gateway.rpc.fields import parse_email, parse_locale, parse_time_zone
from services.gateway.rpc.limits.rate_limits import Rate, RateLimits
from services.gateway.rpc.thread_pool import ThreadPool
from services.gateway.subscriptions.use_cases import Subscriptions

_log = log.get(__name__)
Context = aio.ServicerContext[Any, Any]
RESPONSE_SECONDS = 0.1
"""Responses take a multiple of this: otherwise the few milliseconds that an e-mail takes would reveal a subscriber."""


class SubscriptionServicer(SubscriptionServiceServicer):
    """The service of subscriptions. Neither a response nor its timing reveals whether an address is known."""

    def __init__(
        self, subscriptions: Subscriptions, threads: ThreadPool, limits: RateLimits, *, max_per_hour: int
    ) -> None:
        self._subscriptions = subscriptions
        self._threads = threads
        self._limits = limits
        self._rate = Rate("subscriptions", max_per_hour, 3600)

    async def Subscribe(self, request: pb.SubscribeRequest, context: Context) -> pb.SubscribeResponse:
        """Subscribe an address."""
        email, key = parse_email(request.email)
        await self._count_call()
        locale, zone = parse_locale(request.locale), parse_time_zone(request.time_zone)
        async with _constant_time():
            await self._threads.run(
                self._subscriptions.subscribe, email=email, email_key=key, locale=locale, time_zone=zone
            )
        return pb.SubscribeResponse(confirmation_required=self._subscriptions.double_opt_in)

    async def ConfirmSubscription(
        self, request: pb.ConfirmSubscriptionRequest, context: Context
    ) -> pb.ConfirmSubscriptionResponse:
        """Confirm a subscription with the token of a confirmation e-mail."""
        if not request.token:
            raise InvalidArgument(Violation("token", "is required"))
        await self._threads.run(self._subscriptions.confirm, request.token)
        return pb.ConfirmSubscriptionResponse()

    async def Unsubscribe(self, request: pb.UnsubscribeRequest, context: Context) -> pb.UnsubscribeResponse:
        """End a subscription."""
        match request.WhichOneof("subscriber"):
            case "email":
                _, key = parse_email(request.email)
                async with _constant_time():
                    await self._threads.run(self._subscriptions.unsubscribe_address, key)
            case "token":
                await self._threads.run(self._subscriptions.unsubscribe_token, request.token)
            case _:
                raise InvalidArgument(Violation("subscriber", "needs an email or a token"))
        return pb.UnsubscribeResponse()

    async def _count_call(self) -> None:
        self._limits.check(self._rate, rate_limit_key())
        try:
            await self._limits.count(self._rate, rate_limit_key())
        except RedisError as error:
            # Allowed: the database limits each address to one e-mail an hour.
            _log.warning("rate limit of subscriptions unavailable", error=str(error))


@asynccontextmanager
async def _constant_time() -> AsyncIterator[None]:
    started = time.monotonic()
    try:
        yield
    finally:
        await asyncio.sleep(RESPONSE_SECONDS - (time.monotonic() - started) % RESPONSE_SECONDS)
