"""The proxy does what the cases rely on."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.proxy import Proxy
from tests.support.waiting import eventually


@contextmanager
def echo() -> Iterator[int]:
    """A server that sends back what it gets; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=send_back, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def send_back(connection: socket.socket) -> None:
    with connection:
        try:
            while data := connection.recv(1024):
                connection.sendall(data)
        except OSError:
            return


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with echo() as port, Proxy(("127.0.0.1", port)) as proxy:
        yield proxy


@contextmanager
def connected(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as client:
        yield client


def exchange(client: socket.socket, data: bytes = b"ping") -> bool:
    client.sendall(data)
    return client.recv(1024) == data


def goes_on(client: socket.socket) -> bool:
    try:
        return exchange(client)
    except ConnectionError:
        return False


def test_it_forwards_both_ways_and_the_end_of_a_stream(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert exchange(client)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1024) == b""


def test_a_cut_ends_connections_and_refuses_new_ones_until_it_is_healed(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert exchange(client)
        proxy.cut()
        assert not goes_on(client)
    with pytest.raises(ConnectionRefusedError), connected(proxy):
        pass
    proxy.heal()
    with connected(proxy) as client:
        assert exchange(client)


def test_a_reset_ends_connections_and_takes_new_ones(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert exchange(client)
        proxy.reset()
        assert not goes_on(client)
    with connected(proxy) as client:
        assert exchange(client)


def test_a_stalled_line_forwards_nothing_and_then_everything(proxy: Proxy) -> None:
    with connected(proxy) as client, connected(proxy) as other:
        assert exchange(client)
        proxy.stall()
        client.sendall(b"later")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1024)
        with connected(proxy) as late:
            late.sendall(b"too")
            proxy.heal()
            client.settimeout(20)
            assert client.recv(1024) == b"later"
            assert late.recv(1024) == b"too"
        assert exchange(other)


def test_a_slow_line_delays_each_way(proxy: Proxy) -> None:
    proxy.delay(0.1)
    with connected(proxy) as client:
        begin = time.monotonic()
        assert exchange(client)
        assert time.monotonic() - begin >= 0.2
    proxy.heal()
    with connected(proxy) as client:
        eventually(lambda: exchange(client))
