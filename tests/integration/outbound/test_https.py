"""Requests to addresses that callers have named, against real TLS servers: what arrives where, and what does not."""

import ssl
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from services.common.domain.addresses import parse_networks, parse_url
from services.common.infra.outbound.connect import GuardedConnect
from services.common.infra.outbound.errors import OutboundError, RefusedAddress, ResponseTooLarge
from services.common.infra.outbound.https import HttpsClient
from tests.support.certificates import Authority
from tests.support.https import HttpRequest, HttpsServer, answer, make_authority


@pytest.fixture
def server(authority: Authority) -> Iterator[HttpsServer]:
    with HttpsServer(authority) as server:
        yield server


def client(authority: Authority, allowed: str = "127.0.0.1/32", **given: object) -> HttpsClient:
    tls = ssl.create_default_context(cafile=str(authority.roots))
    return HttpsClient(connect=GuardedConnect(allowed=parse_networks(allowed), **given), tls=tls)  # type: ignore[arg-type]


def get(client: HttpsClient, url: str, *, seconds: float = 10, max_bytes: int = 1 << 20) -> tuple[int, bytes]:
    with client.request("GET", parse_url(url), seconds=seconds) as response:
        return response.status, b"".join(response.chunks(max_bytes))


def test_a_request_arrives_whole(authority: Authority, server: HttpsServer) -> None:
    server.handler = answer(body=b"hello", Retry_After="7")
    url = parse_url(server.url("/a?b=c"))
    with client(authority).request("POST", url, body=b"{}", headers={"X": "y"}, seconds=10) as response:
        assert (response.status, response.retry_after) == (200, 7)
        assert b"".join(response.chunks(5)) == b"hello"
    (request,) = server.requests
    assert (request.method, request.target, request.body) == ("POST", "/a?b=c", b"{}")
    assert request.headers["host"] == f"localhost:{server.port}"
    assert request.headers["x"] == "y"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2", "[::1]", "[::ffff:127.0.0.1]"])
def test_loopback_is_refused_without_a_connection(authority: Authority, server: HttpsServer, host: str) -> None:
    with pytest.raises(RefusedAddress, match="is not public"):
        get(client(authority, allowed=""), server.url(host=host))
    assert server.connections == 0


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "fd00:ec2::254", "::ffff:192.168.0.1", "0.0.0.0"])
def test_a_name_that_leads_inside_is_refused(authority: Authority, address: str) -> None:
    def look_up(_host: str, _seconds: float) -> Sequence[str]:
        return [address]

    with pytest.raises(RefusedAddress, match=r"the address of metadata\.test is not public"):
        get(client(authority, look_up=look_up), "https://metadata.test/")


def test_a_name_is_resolved_once_so_that_it_cannot_change_after_the_check(
    authority: Authority, server: HttpsServer
) -> None:
    with HttpsServer(authority, address="127.0.0.2", port=server.port) as inner:
        answers = [["127.0.0.1"], ["127.0.0.2"]]

        def look_up(_host: str, _seconds: float) -> Sequence[str]:
            return answers.pop(0)

        rebound = client(authority, look_up=look_up)
        assert get(rebound, server.url(host="hooks.test")) == (200, b"")
        assert (server.connections, inner.connections, len(answers)) == (1, 0, 1)
        with pytest.raises(RefusedAddress):
            get(rebound, server.url(host="hooks.test"))
        assert (server.connections, inner.connections) == (1, 0)


def test_of_several_addresses_only_allowed_ones_are_tried(authority: Authority, server: HttpsServer) -> None:
    with HttpsServer(authority, address="127.0.0.2", port=server.port) as inner:

        def look_up(_host: str, _seconds: float) -> Sequence[str]:
            return ["127.0.0.2", "127.0.0.1"]

        assert get(client(authority, look_up=look_up), server.url(host="hooks.test")) == (200, b"")
        assert (server.connections, inner.connections) == (1, 0)


def test_the_certificate_is_verified_for_the_name(authority: Authority, server: HttpsServer, tmp_path: Path) -> None:
    def look_up(_host: str, _seconds: float) -> Sequence[str]:
        return ["127.0.0.1"]

    with pytest.raises(OutboundError, match=r"certificate of other\.test is not valid"):
        get(client(authority, look_up=look_up), server.url(host="other.test"))
    (tmp_path / "others").mkdir()
    with pytest.raises(OutboundError, match="certificate of localhost is not valid"):
        get(client(make_authority(tmp_path / "others")), server.url())
    assert not server.requests


def test_redirects_are_not_followed(authority: Authority, server: HttpsServer) -> None:
    with HttpsServer(authority) as other:
        server.handler = answer("302 Found", Location=other.url("/secret"))
        assert get(client(authority), server.url())[0] == 302
        assert other.connections == 0


def test_a_body_that_is_announced_as_too_large_is_not_read(authority: Authority, server: HttpsServer) -> None:
    server.handler = answer(body=b"x" * 1001)
    with pytest.raises(ResponseTooLarge, match="larger than 1000 bytes"):
        get(client(authority), server.url(), max_bytes=1000)


def test_an_endless_body_ends_at_the_limit(authority: Authority, server: HttpsServer) -> None:
    def endless(_request: HttpRequest, connection: ssl.SSLSocket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")

    server.handler = endless
    with pytest.raises(ResponseTooLarge):
        get(client(authority), server.url(), max_bytes=300_000)


def test_a_slow_body_ends_at_the_deadline(authority: Authority, server: HttpsServer) -> None:
    def slow(_request: HttpRequest, connection: ssl.SSLSocket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            connection.sendall(b"x")
            time.sleep(0.1)

    server.handler = slow
    start = time.monotonic()
    with pytest.raises(OutboundError, match="did not answer in time"):
        get(client(authority), server.url(), seconds=1)
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    ("begin", "following", "message"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"x", "did not answer in time"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", "did not answer in time"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, b"", "gave no valid answer: LineTooLong"),
    ],
    ids=["slow", "continued", "long"],
)
def test_slow_and_endless_headers_end_at_the_deadline(
    authority: Authority, server: HttpsServer, *, begin: bytes, following: bytes, message: str
) -> None:
    def headers(_request: HttpRequest, connection: ssl.SSLSocket) -> None:
        connection.sendall(begin)
        while following:
            connection.sendall(following)
            time.sleep(0.01)

    server.handler = headers
    with pytest.raises(OutboundError, match=message):
        get(client(authority), server.url(), seconds=1 if following else 10)


def test_a_body_that_breaks_off_is_no_answer(authority: Authority, server: HttpsServer) -> None:
    def cut(_request: HttpRequest, connection: ssl.SSLSocket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nxxx")

    server.handler = cut
    with pytest.raises(OutboundError, match="sent 3 of 1000 bytes"):
        get(client(authority), server.url())


def test_a_server_that_speaks_no_tls_or_does_not_listen(authority: Authority, server: HttpsServer) -> None:
    import socket
    import threading

    with socket.create_server(("127.0.0.1", 0)) as plain:

        def serve() -> None:
            connection, _ = plain.accept()
            with connection:
                connection.sendall(b"220 mail.test ESMTP\r\n")

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(OutboundError, match="gave no valid answer"):
            get(client(authority), f"https://localhost:{plain.getsockname()[1]}/")
    server.stop()
    with pytest.raises(OutboundError, match="localhost cannot be reached"):
        get(client(authority), server.url())
    server.start()


def test_a_handshake_that_does_not_end_ends_at_the_deadline(authority: Authority) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        with pytest.raises(OutboundError, match="did not answer in time"):
            get(client(authority), f"https://localhost:{silent.getsockname()[1]}/", seconds=1)
        assert time.monotonic() - start < 30


def test_a_name_that_is_not_known_and_a_resolver_that_hangs(authority: Authority) -> None:
    with pytest.raises(OutboundError, match=r"the name nowhere\.invalid cannot be resolved"):
        get(client(authority), "https://nowhere.invalid/")

    def hang(host: str, seconds: float) -> Sequence[str]:
        raise TimeoutError(f"the name {host} was not resolved in {seconds:.0f} s")

    with pytest.raises(OutboundError, match="was not resolved in"):
        get(client(authority, look_up=hang), "https://hangs.test/")
