"""A gateway at the end of a line on which each packet takes half a second: it is slow, not unavailable."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from imageblur_client import AsyncClient, Client

from services.web.settings import WebSettings
from tests.integration.gateway.conftest import Gateway
from tests.integration.web.conftest import serving
from tests.support.proxy import Proxy


@pytest.fixture
def address(gateway: Gateway) -> Iterator[str]:
    with Proxy(("127.0.0.1", gateway.port)) as proxy:
        proxy.delay(0.5)
        yield f"127.0.0.1:{proxy.port}"


def test_the_client_connects(address: str) -> None:
    with Client(address) as client:
        assert client.limits().max_images


def test_the_asynchronous_client_connects(address: str) -> None:
    async def ask() -> int:
        async with AsyncClient(address) as client:
            return (await client.limits()).max_images

    assert asyncio.run(ask())


def test_the_pages_connect(address: str, tmp_path: Path) -> None:
    settings = WebSettings(web_address="127.0.0.1:0", gateway_url=f"http://{address}", mailbox_dir=tmp_path)
    with serving(settings) as web:
        assert web.get("/v1/limits").status == 200
