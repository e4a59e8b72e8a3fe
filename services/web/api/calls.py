"""RPCs of the API as a table: method and path, the RPC, and which part of the request becomes which field."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import subscription_service_pb2 as subscriptions
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.common.infra.visitors import VisitorProof
from services.web.api.errors import BadRequest, with_problems
from services.web.gateway.client import GatewayClient
from services.web.gateway.rpc import RPC_SECONDS, Channels
from services.web.http.templates import PRIVATE
from services.web.orders.body_reader import BodyReader

MessageType = TypeVar("MessageType", bound=Message)
MAX_BODY_BYTES = 4 << 20
"""Of a request without images."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """An RPC and its HTTP counterpart. Parameters of the path and of the query are fields of the request."""

    method: str
    path: str
    rpc: str
    """Name of the RPC; the stub's attribute."""
    request: type[Message]
    enums: Mapping[str, str] | None = None
    """Parameters that are names of an enumeration, each with its prefix."""
    subscription: bool = False


CALLS = (
    Call(method="GET", path="/v1/limits", rpc="GetLimits", request=pb.GetLimitsRequest),
    Call(
        method="GET",
        path="/v1/orders/{order_id}",
        rpc="Status",
        request=pb.StatusRequest,
        enums={"view": "ORDER_VIEW_"},
    ),
    Call(
        method="GET",
        path="/v1/orders/{order_id}/images",
        rpc="ListImages",
        request=pb.ListImagesRequest,
        enums={"state": "IMAGE_STATE_"},
    ),
    Call(method="POST", path="/v1/orders/{order_id}/send", rpc="SendImages", request=pb.SendImagesRequest),
    Call(method="POST", path="/v1/orders/{order_id}/cancel", rpc="CancelOrder", request=pb.CancelOrderRequest),
    Call(method="POST", path="/v1/orders/{order_id}/revise", rpc="ReviseImages", request=pb.ReviseImagesRequest),
    Call(
        method="DELETE",
        path="/v1/orders/{order_id}/originals",
        rpc="DeleteOriginals",
        request=pb.DeleteOriginalsRequest,
    ),
    Call(method="GET", path="/v1/webhook-secret", rpc="GetWebhookSecret", request=pb.GetWebhookSecretRequest),
    Call(
        method="POST",
        path="/v1/webhook-secret/rotate",
        rpc="RotateWebhookSecret",
        request=pb.RotateWebhookSecretRequest,
    ),
    Call(method="DELETE", path="/v1/orders/{order_id}", rpc="DeleteOrder", request=pb.DeleteOrderRequest),
    Call(
        method="POST",
        path="/v1/subscriptions",
        rpc="Subscribe",
        request=subscriptions.SubscribeRequest,
        subscription=True,
    ),
    Call(
        method="POST",
        path="/v1/subscriptions/confirm",
        rpc="ConfirmSubscription",
        request=subscriptions.ConfirmSubscriptionRequest,
        subscription=True,
    ),
    Call(
        method="POST",
        path="/v1/subscriptions/unsubscribe",
        rpc="Unsubscribe",
        request=subscriptions.UnsubscribeRequest,
        subscription=True,
    ),
)
"""All RPCs without files; those with files have modules of their own."""


@dataclass(frozen=True, kw_only=True)
class Gateways:
    """Makes clients with the key and the address of whoever sends a request."""

    channels: Channels
    visitors: VisitorProof

    def of(self, request: Request) -> GatewayClient:
        """Return a client for a request: `Authorization: Bearer KEY`."""
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        given = key.strip() if kind.lower() == "bearer" else ""
        return GatewayClient(self.channels, given or None, self.visitors)


def call_routes(gateways: Gateways, orders: BlurServiceStub, stub: SubscriptionServiceStub) -> list[Route]:
    """Return the routes of the table."""
    return [_route(call, gateways, getattr(stub if call.subscription else orders, call.rpc)) for call in CALLS]


def _route(call: Call, gateways: Gateways, rpc: Callable[..., Any]) -> Route:
    async def endpoint(request: Request) -> Response:
        message = await _message(request, call)
        answer: Message = await gateways.of(request).call(rpc, message, timeout=RPC_SECONDS)
        return json_response(answer)

    return Route(call.path, with_problems(endpoint), methods=[call.method])


def json_response(message: Message, status: int = 200) -> Response:
    """Return a message as JSON, by the names of its fields; fields without presence are there, too."""
    values = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return JSONResponse(values, status, PRIVATE)


def parse_json(text: bytes, kind: type[MessageType], fields: Mapping[str, object]) -> MessageType:
    """Return a message of JSON and of more fields. Raises: BadRequest."""
    message = kind()
    try:
        json_format.Parse(text or b"{}", message)
        json_format.ParseDict(dict(fields), message)
    except json_format.ParseError as error:
        raise BadRequest("body", str(error)) from None
    return message


async def _message(request: Request, call: Call) -> Message:
    enums = call.enums or {}
    fields: dict[str, object] = {
        name: enums[name] + value.upper() if name in enums else value for name, value in request.query_params.items()
    }
    body = b""
    if request.method == "POST":
        try:
            body = await BodyReader(request.stream()).read_all(MAX_BODY_BYTES)
        except EOFError as error:
            raise BadRequest("body", str(error), status=413) from None
    return parse_json(body, call.request, fields | dict(request.path_params))
