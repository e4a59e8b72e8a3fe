"""SubscriptionService: each call checked, handed to a use case, and answered."""

from typing import Any

from grpc import aio
from imageblur.v1 import subscription_service_pb2 as pb
from imageblur.v1.subscription_service_pb2_grpc import SubscriptionServiceServicer

from services.common.errors import InvalidArgument, Violation
from services.gateway import requests
from services.gateway.offload import Offload
from services.gateway.use_cases import UseCases

Context = aio.ServicerContext[Any, Any]


class SubscriptionServicer(SubscriptionServiceServicer):
    """The service of subscriptions. What it answers never depends on whether an address is known."""

    def __init__(self, use_cases: UseCases, offload: Offload, *, confirm: bool) -> None:
        self._use_cases = use_cases
        self._offload = offload
        self._confirm = confirm

    async def Subscribe(self, request: pb.SubscribeRequest, context: Context) -> pb.SubscribeResponse:
        """Subscribe an address."""
        email, key = requests.parse_email(request.email)
        locale = requests.parse_locale(request.locale)
        await self._offload(self._use_cases.subscribe, email=email, email_key=key, locale=locale, confirm=self._confirm)
        return pb.SubscribeResponse(confirmation_required=self._confirm)

    async def ConfirmSubscription(
        self, request: pb.ConfirmSubscriptionRequest, context: Context
    ) -> pb.ConfirmSubscriptionResponse:
        """Confirm with the token of a letter."""
        if not request.token:
            raise InvalidArgument(Violation("token", "is required"))
        await self._offload(self._use_cases.confirm_subscription, request.token)
        return pb.ConfirmSubscriptionResponse()

    async def Unsubscribe(self, request: pb.UnsubscribeRequest, context: Context) -> pb.UnsubscribeResponse:
        """End a subscription."""
        match request.WhichOneof("subscriber"):
            case "email":
                _, key = requests.parse_email(request.email)
                await self._offload(self._use_cases.unsubscribe_address, key)
            case "token":
                await self._offload(self._use_cases.unsubscribe_token, request.token)
            case _:
                raise InvalidArgument(Violation("subscriber", "needs an email or a token"))
        return pb.UnsubscribeResponse()
