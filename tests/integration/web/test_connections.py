"""Connections that take more than their share: of descriptors, of memory for headers, of time."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.web import server
from services.web.http import connections
from services.web.settings import WebSettings
from tests.integration.web.conftest import Web, serving
from tests.support.waiting import eventually

START = b"GET /newsletter HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Web]:
    """Pages that need no gateway."""
    with serving(WebSettings(web_address="127.0.0.1:0", gateway_url=f"unix:{tmp_path}/none")) as web:
        yield web


def received(connection: socket.socket) -> bytes:
    """What the server sends until it closes."""
    data = b""
    try:
        while piece := connection.recv(1 << 16):
            data += piece
    except ConnectionError:
        pass
    return data


@pytest.mark.parametrize(
    "endless", [START + b"X-Large: ", b"GET /", START + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Large: "]
)
def test_endless_headers_are_refused_before_they_fill_the_memory(pages: Web, endless: bytes) -> None:
    with socket.create_connection(("127.0.0.1", pages.port), 20) as connection:
        connection.sendall(endless)
        with pytest.raises(ConnectionError):
            connection.sendall(b"x" * (64 << 20))
    assert pages.get("/newsletter").status == 200


def test_headers_of_more_than_64_kilobytes_are_refused_by_name(pages: Web) -> None:
    with socket.create_connection(("127.0.0.1", pages.port), 20) as connection:
        connection.sendall(START + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 1000) for n in range(70)) + b"\r\n")
        assert received(connection).startswith(b"HTTP/1.1 431 ")
    with socket.create_connection(("127.0.0.1", pages.port), 20) as connection:
        connection.sendall(START + b"X: " + b"x" * 60_000 + b"\r\nConnection: close\r\n\r\n")
        assert received(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("before", [b"", b"first request"])
def test_headers_that_do_not_end_are_closed(pages: Web, monkeypatch: pytest.MonkeyPatch, before: bytes) -> None:
    if not before:
        monkeypatch.setattr(connections, "HEADER_SECONDS", 0.5)  # from the connection on
    with socket.create_connection(("127.0.0.1", pages.port), 20) as connection:
        if before:
            connection.sendall(START + b"\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
            monkeypatch.setattr(connections, "HEADER_SECONDS", 0.5)  # from the next request on
        connection.sendall(START)
        begin = time.monotonic()
        received(connection)
        assert time.monotonic() - begin < 18
    # A request whose headers are complete has its own time.
    monkeypatch.setattr(connections, "HEADER_SECONDS", 20.0)
    assert pages.get("/newsletter").status == 200


def test_the_newest_of_too_many_connections_are_refused_and_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(server, "max_connections", lambda: 5)
    with (
        serving(WebSettings(web_address="127.0.0.1:0", gateway_url=f"unix:{tmp_path}/none")) as web,
        ExitStack() as stack,
    ):
        address = ("127.0.0.1", web.port)
        oldest = [stack.enter_context(socket.create_connection(address, 20)) for _ in range(5)]
        newest = [stack.enter_context(socket.create_connection(address, 20)) for _ in range(50)]
        assert [received(connection) for connection in newest] == [b""] * 50
        oldest[0].sendall(START + b"\r\n")
        assert oldest[0].recv(100).startswith(b"HTTP/1.1 200 ")
        oldest[1].close()
        eventually(lambda: _answers(web))
    assert capsys.readouterr().out.count("connections refused") == 1


def _answers(web: Web) -> bool:
    try:
        return web.get("/newsletter").status == 200
    except OSError:
        return False


def test_answers_do_not_wait_for_the_acknowledgement_of_their_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, without_delay = connections.LimitedProtocol.connection_made, []

    def connection_made(protocol: connections.LimitedProtocol, transport: asyncio.Transport) -> None:
        made(protocol, transport)
        accepted = transport.get_extra_info("socket")
        without_delay.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(connections.LimitedProtocol, "connection_made", connection_made)
    with serving(WebSettings(web_address="127.0.0.1:0", gateway_url=f"unix:{tmp_path}/none")) as web:
        assert web.get("/newsletter").status == 200
    assert without_delay
    assert all(without_delay)
