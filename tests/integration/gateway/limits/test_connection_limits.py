"""Channels of our clients open more connections when one does not allow as many calls as they make."""

import asyncio

import pytest
from grpc import aio
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1.blur_service_pb2_grpc import BlurServiceStub
from imageblur_client.channel import open_async_channel

from services.gateway.rpc import grpc_server
from services.gateway.settings import GatewaySettings
from services.web.gateway.rpc import open_channels
from services.web.settings import WebSettings
from tests.integration.gateway.conftest import running
from tests.integration.gateway.test_orders import order

STREAMS = 4
WATCHES = 5 * STREAMS

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def _few_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_server, "MAX_STREAMS", STREAMS)


async def watch_and_call(channel: aio.Channel, order_id: str) -> None:
    """Watch an order so many times at once that only further connections allow another call."""
    service = BlurServiceStub(channel)
    watches = [service.WatchStatus(pb.WatchStatusRequest(order_id=order_id)) for _ in range(WATCHES)]
    first = await asyncio.wait_for(asyncio.gather(*(watch.read() for watch in watches)), 60)
    assert {change.order.order_id for change in first if isinstance(change, pb.WatchStatusResponse)} == {order_id}
    status = await service.Status(pb.StatusRequest(order_id=order_id), timeout=60)
    assert status.order.order_id == order_id
    for watch in watches:
        watch.cancel()


def test_the_client_library(settings: GatewaySettings) -> None:
    async def run(port: int, order_id: str) -> None:
        async with open_async_channel(f"127.0.0.1:{port}") as channel:
            await watch_and_call(channel, order_id)

    with running(settings) as gateway:
        asyncio.run(run(gateway.port, order(gateway).order_id))


def test_the_web_pages(settings: GatewaySettings) -> None:
    async def run(port: int, order_id: str) -> None:
        async with open_channels(WebSettings(gateway_url=f"http://127.0.0.1:{port}")) as channels:
            await watch_and_call(channels.others, order_id)

    with running(settings) as gateway:
        asyncio.run(run(gateway.port, order(gateway).order_id))
