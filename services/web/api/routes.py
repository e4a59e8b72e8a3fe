"""The routes of the API. docs/http.md describes them."""

import asyncio

from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from starlette.routing import BaseRoute, Route

from services.common.infra.signing.visitors import VisitorProof
from services.web.api.calls import Gateways, call_routes
from services.web.api.errors import with_problems
from services.web.api.instant import InstantCalls
from services.web.api.openapi import openapi
from services.web.api.orders import ApiOrders
from services.web.api.uploads import ApiUploads
from services.web.gateway.rpc import Channels


def api_routes(channels: Channels, visitors: VisitorProof, stopping: asyncio.Event) -> list[BaseRoute]:
    """Return the routes of the API."""
    stub = BlurServiceStub(channels.others)
    gateways = Gateways(channels=channels, visitors=visitors)
    instant, orders = InstantCalls(gateways), ApiOrders(gateways, stopping)
    return [
        Route("/v1/blur", with_problems(instant.blur), methods=["POST"]),
        Route("/v1/find", with_problems(instant.find), methods=["POST"]),
        Route("/blur", with_problems(instant.panoramax), methods=["POST"]),
        Route("/v1/orders", with_problems(orders.place), methods=["POST"]),
        Route("/v1/archive", with_problems(orders.linked_archive)),
        Route("/v1/orders/{order_id}/events", with_problems(orders.watch)),
        Route("/v1/orders/{order_id}/archive", with_problems(orders.archive)),
        Route("/v1/orders/{order_id}/images/{image_id}", with_problems(orders.image)),
        Route("/v1/openapi.json", openapi),
        *ApiUploads(gateways).routes(),
        Route("/v1/orders/{order_id}/images/{image_id}/preview", with_problems(orders.preview)),
        *call_routes(gateways, stub, SubscriptionServiceStub(channels.others)),
    ]
