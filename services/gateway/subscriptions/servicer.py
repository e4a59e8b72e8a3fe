"""SubscriptionService: each call checked, handed to a use case, and answered."""

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
from services.gateway.orders import requests
from services.gateway.orders.use_cases import UseCases
from services.gateway.rpc.callers import counted_as
from services.gateway.rpc.rate_limits import Rate, RateLimits
from services.gateway.rpc.thread_pool import Offload
from services.gateway.settings import GatewaySettings

_log = log.get(__name__)
Context = aio.ServicerContext[Any, Any]
EVEN_SECONDS = 0.1
"""Answers come after so long, or a multiple of it: to write an e-mail takes a few milliseconds more than not to."""


class SubscriptionServicer(SubscriptionServiceServicer):
    """The service of subscriptions. Neither what it answers nor when depends on whether an address is known."""

    def __init__(self, use_cases: UseCases, offload: Offload, limits: RateLimits, settings: GatewaySettings) -> None:
        self._use_cases = use_cases
        self._offload = offload
        self._limits = limits
        self._rate = Rate("subscriptions", settings.max_subscriptions_per_hour, 3600)
        self._confirm = settings.confirm_subscriptions

    async def Subscribe(self, request: pb.SubscribeRequest, context: Context) -> pb.SubscribeResponse:
        """Subscribe an address."""
        email, key = requests.parse_email(request.email)
        await self._count()
        locale = requests.parse_locale(request.locale)
        async with _even_time():
            await self._offload(
                self._use_cases.subscribe, email=email, email_key=key, locale=locale, confirm=self._confirm
            )
        return pb.SubscribeResponse(confirmation_required=self._confirm)

    async def _count(self) -> None:
        self._limits.check(self._rate, counted_as())
        try:
            await self._limits.count(self._rate, counted_as())
        except RedisError as error:
            # Open: an e-mail an hour for each address is what the database itself sees to.
            _log.warning("subscriptions not counted", error=str(error))

    async def ConfirmSubscription(
        self, request: pb.ConfirmSubscriptionRequest, context: Context
    ) -> pb.ConfirmSubscriptionResponse:
        """Confirm with the token of an e-mail."""
        if not request.token:
            raise InvalidArgument(Violation("token", "is required"))
        await self._offload(self._use_cases.confirm_subscription, request.token)
        return pb.ConfirmSubscriptionResponse()

    async def Unsubscribe(self, request: pb.UnsubscribeRequest, context: Context) -> pb.UnsubscribeResponse:
        """End a subscription."""
        match request.WhichOneof("subscriber"):
            case "email":
                _, key = requests.parse_email(request.email)
                async with _even_time():
                    await self._offload(self._use_cases.unsubscribe_address, key)
            case "token":
                await self._offload(self._use_cases.unsubscribe_token, request.token)
            case _:
                raise InvalidArgument(Violation("subscriber", "needs an email or a token"))
        return pb.UnsubscribeResponse()


@asynccontextmanager
async def _even_time() -> AsyncIterator[None]:
    begin = time.monotonic()
    try:
        yield
    finally:
        await asyncio.sleep(EVEN_SECONDS - (time.monotonic() - begin) % EVEN_SECONDS)
