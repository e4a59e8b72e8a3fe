"""Whose request it is: the peer's, or that of whom a trusted proxy names."""

import asyncio
from ipaddress import ip_network

import pytest
from starlette.types import Message, Receive, Scope, Send

from services.web.http.visitors import VISITOR, VisitorMiddleware


@pytest.mark.parametrize(
    ("peer", "forwarded", "visitor"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.1"], "192.0.2.1"),  # forged
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.1"], "198.51.100.1"),  # the first one is forged
        ("10.0.0.1", ["203.0.113.9", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.2"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
    ],
)
def test_the_visitor(peer: str, forwarded: list[str], visitor: str) -> None:
    seen = []

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(VISITOR.get())

    async def run() -> None:
        headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
        scope = {"type": "http", "client": (peer, 1), "headers": headers}
        await VisitorMiddleware(app, [ip_network("10.0.0.0/8")])(scope, _nothing, _ignore)

    asyncio.run(run())
    assert seen == [visitor]


async def _nothing() -> Message:
    return {}


async def _ignore(_message: Message) -> None:
    return
