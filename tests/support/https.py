"""A real HTTPS server for tests that answers as a test wants, and keeps what it gets."""

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.support.certificates import Authority
from tests.support.waiting import eventually


@dataclass(frozen=True)
class HttpRequest:
    """One request."""

    method: str
    target: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


Handler = Callable[[HttpRequest, ssl.SSLSocket], None]
"""Answers a request by writing to its connection, which is closed afterwards."""


def hang(release: threading.Event) -> Handler:
    """Answer nothing, and end when the event is set."""

    def wait(_request: HttpRequest, _connection: ssl.SSLSocket) -> None:
        release.wait(60)

    return wait


def answer(status: str = "200 OK", body: bytes = b"", **headers: str) -> Handler:
    """Return a handler that gives this answer; of header names, `_` is written as `-`."""
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())

    def respond(_request: HttpRequest, connection: ssl.SSLSocket) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{fields}\r\n"
        connection.sendall(head.encode() + body)

    return respond


@dataclass
class HttpsServer:
    """Listens on a free port of an address of loopback; a thread for each connection."""

    authority: Authority
    names: tuple[str, ...] = ("localhost", "127.0.0.1", "::1", "hooks.test")
    address: str = "127.0.0.1"
    handler: Handler = field(default_factory=answer)
    requests: list[HttpRequest] = field(default_factory=list)
    connections: int = 0
    """How many were accepted, whatever became of them."""
    port: int = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; also again after `stop`, on the same port."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.authority.issue(f"https-{id(self)}", *self.names))
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self._listener = socket.create_server((self.address, self.port), family=family)
        self.port = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, args=(context, self._listener), daemon=True).start()

    def stop(self) -> None:
        """Listen no more, and cut the connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            connection.close()

    def wait_requests(self, count: int, within: float = 30.0) -> list[HttpRequest]:
        """Wait until so many requests have arrived."""
        eventually(lambda: len(self.requests) >= count, within)
        return list(self.requests)

    def url(self, path: str = "/", host: str = "localhost") -> str:
        """Return an address of this server."""
        return f"https://{host}:{self.port}{path}"

    def _accept(self, context: ssl.SSLContext, listener: socket.socket) -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(context, raw), daemon=True).start()

    def _serve(self, context: ssl.SSLContext, raw: socket.socket) -> None:
        self._open.add(raw)
        try:
            with context.wrap_socket(raw, server_side=True) as connection:
                self._open.add(connection)
                request = _read(connection)
                self.requests.append(request)
                self.handler(request, connection)
                connection.unwrap()
        except (OSError, ValueError, IndexError):
            return  # the client went away, or sent nothing


def _read(connection: ssl.SSLSocket) -> HttpRequest:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536) or _ended()
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65536) or _ended()
    method, target, _ = first.split(" ")
    return HttpRequest(method, target, headers, body)


def _ended() -> bytes:
    raise OSError("the client has closed the connection")


def make_authority(folder: Path) -> Authority:
    """Return an authority of its own in a new folder."""
    return Authority(folder / "authority")
