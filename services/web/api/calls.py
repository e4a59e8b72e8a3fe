"""RPCs of the API as a table: method and path, the RPC, and which part of the request becomes which field."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import subscription_service_pb2 as subscriptions
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.common.infra.signing.visitors import VisitorProof
from services.web.api.errors import BadRequest, with_problems
from services.web.api.messages import json_response, parse_json, query_fields
from services.web.gateway.client import GatewayClient
from services.web.gateway.rpc import RPC_SECONDS, Channels
from services.web.orders.body_reader import BodyReader

LIMITS_SECONDS = 10.0
MAX_KNOWN_LIMITS = 100
MAX_BODY_BYTES = 4 << 20
"""Most bytes of the body of a request without images."""


_SUBSCRIPTIONS = subscriptions.DESCRIPTOR.services_by_name["SubscriptionService"].methods_by_name


@dataclass(frozen=True)
class Call:
    """An RPC and its HTTP counterpart. Parameters of the path and of the query are fields of the request."""

    method: str
    path: str
    rpc: str
    """Name of the RPC; the stub's attribute."""

    @property
    def subscription(self) -> bool:
        """Whether it is one of SubscriptionService."""
        return self.rpc in _SUBSCRIPTIONS

    @property
    def request(self) -> type[Message]:
        """The type of the RPC's request."""
        request: type[Message] = getattr(subscriptions if self.subscription else pb, f"{self.rpc}Request")
        return request


CALLS = (
    Call("GET", "/v1/limits", "GetLimits"),
    Call("GET", "/v1/orders/{order_id}", "Status"),
    Call("GET", "/v1/orders/{order_id}/images", "ListImages"),
    Call("POST", "/v1/orders/{order_id}/send", "SendImages"),
    Call("POST", "/v1/orders/{order_id}/cancel", "CancelOrder"),
    Call("POST", "/v1/orders/{order_id}/revise", "ReviseImages"),
    Call("DELETE", "/v1/orders/{order_id}/originals", "DeleteOriginals"),
    Call("GET", "/v1/webhook-secret", "GetWebhookSecret"),
    Call("POST", "/v1/webhook-secret/rotate", "RotateWebhookSecret"),
    Call("DELETE", "/v1/orders/{order_id}", "DeleteOrder"),
    Call("POST", "/v1/subscriptions", "Subscribe"),
    Call("POST", "/v1/subscriptions/confirm", "ConfirmSubscription"),
    Call("POST", "/v1/subscriptions/unsubscribe", "Unsubscribe"),
)
"""All RPCs without files; those with files have modules of their own."""


@dataclass(frozen=True, kw_only=True)
class Gateways:
    """Makes clients with the key and the address of the sender of a request."""

    channels: Channels
    visitors: VisitorProof
    known_limits: dict[str | None, tuple[float, pb.GetLimitsResponse]] = field(default_factory=dict)
    """By key: when they were read, and what they were."""

    def of(self, request: Request) -> GatewayClient:
        """Return a client for a request: `Authorization: Bearer KEY`."""
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        given = key.strip() if kind.lower() == "bearer" else ""
        return GatewayClient(self.channels, given or None, self.visitors)

    async def limits(self, request: Request) -> pb.GetLimitsResponse:
        """Return the limits, at most ten seconds old: they only limit how much of a body to read.

        They are kept by key, and only if the key was valid, so that others are refused before their body is read.
        """
        client, now = self.of(request), time.monotonic()
        read_at, limits = self.known_limits.get(client.key, (float("-inf"), None))
        if limits is None or now > read_at + LIMITS_SECONDS:
            limits = await client.limits()
            if len(self.known_limits) >= MAX_KNOWN_LIMITS:
                self.known_limits.clear()
            self.known_limits[client.key] = now, limits
        return limits


def call_routes(gateways: Gateways, orders: BlurServiceStub, stub: SubscriptionServiceStub) -> list[Route]:
    """Return the routes of the table."""
    return [_route(call, gateways, getattr(stub if call.subscription else orders, call.rpc)) for call in CALLS]


def _route(call: Call, gateways: Gateways, rpc: Callable[..., Any]) -> Route:
    async def endpoint(request: Request) -> Response:
        message = await _message(request, call)
        answer: Message = await gateways.of(request).call(rpc, message, timeout=RPC_SECONDS)
        return json_response(answer)

    return Route(call.path, with_problems(endpoint), methods=[call.method])


async def _message(request: Request, call: Call) -> Message:
    fields = query_fields(request.query_params, call.request)
    body = b""
    if request.method == "POST":
        try:
            body = await BodyReader(request.stream()).read_all(MAX_BODY_BYTES)
        except EOFError as error:
            raise BadRequest("body", str(error), status=413) from None
    return parse_json(body, call.request, fields | dict(request.path_params))
