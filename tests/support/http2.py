"""Half a gRPC client on a bare socket: begins calls, and lets their messages crawl, or stall, in the middle."""

import socket
import struct
from types import TracebackType
from typing import Self

_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_HEADERS = 4


class CrawlingCall:
    """A call whose message was announced with so many bytes; it reads nothing of what it is answered."""

    def __init__(self, port: int, method: str, size: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 5)
        headers = {
            ":method": "POST",
            ":scheme": "http",
            ":path": method,
            ":authority": "localhost",
            "te": "trailers",
            "content-type": "application/grpc",
        }
        self._socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, b"", stream=0))
        self._socket.sendall(_frame(_HEADERS, _END_HEADERS, b"".join(map(_literal, headers, headers.values()))))
        self.crawl(struct.pack(">BI", 0, size))

    def crawl(self, data: bytes = b"\0" * 1024) -> None:
        """Send the next bytes."""
        self._socket.sendall(_frame(_DATA, 0, data))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()


def _frame(kind: int, flags: int, payload: bytes, stream: int = 1) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(name: str, value: str) -> bytes:
    """A header field of HPACK that is neither indexed nor compressed."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
