"""Every RPC for clients has an HTTP counterpart, which docs/http.md describes."""

import asyncio
from pathlib import Path

import grpc
import pytest
from grpc import aio
from imageblur.v1 import blur_service_pb2, subscription_service_pb2
from starlette.routing import Route

from services.common.infra.visitors import VisitorProof
from services.web.api.calls import CALLS
from services.web.api.routes import api_routes
from services.web.gateway.rpc import Channels

WITH_FILES = {
    "BlurImage": "/v1/blur",
    "FindRegions": "/v1/find",
    "BlurOrder": "/v1/orders",
    "StreamBlurOrder": "/v1/orders",
    "WatchStatus": "/v1/orders/{order_id}/events",
    "CreateUpload": "/v1/uploads",
    "AppendUpload": "/v1/uploads/{upload_id}",
    "GetUpload": "/v1/uploads/{upload_id}",
    "CompleteUpload": "/v1/uploads/{upload_id}/complete",
    "DeleteUpload": "/v1/uploads/{upload_id}",
    "DownloadImages": "/v1/orders/{order_id}/archive",
}
RPCS = [
    method.name
    for service in (
        blur_service_pb2.DESCRIPTOR.services_by_name["BlurService"],
        subscription_service_pb2.DESCRIPTOR.services_by_name["SubscriptionService"],
    )
    for method in service.methods
]


def paths() -> set[str]:
    async def collect() -> set[str]:
        async with aio.insecure_channel("127.0.0.1:1") as others:
            with grpc.insecure_channel("127.0.0.1:1") as uploads:
                routes = api_routes(Channels(uploads=uploads, others=others), VisitorProof(None), asyncio.Event())
        return {route.path for route in routes if isinstance(route, Route)}

    return asyncio.run(collect())


@pytest.mark.parametrize("rpc", RPCS)
def test_an_rpc_has_a_path_that_is_documented(rpc: str) -> None:
    path = WITH_FILES.get(rpc) or next(call.path for call in CALLS if call.rpc == rpc)
    assert path in paths()
    assert path in Path("docs/http.md").read_text(encoding="utf-8")


def test_every_path_is_documented() -> None:
    documented = Path("docs/http.md").read_text(encoding="utf-8")
    assert [path for path in paths() if path not in documented] == []
