"""Half a gRPC client on a bare socket: begins calls, and lets their messages crawl, or stall, in the middle."""

import socket
import struct
from types import TracebackType
from typing import Self

_DATA, _HEADERS, _RST_STREAM, _SETTINGS = 0, 1, 3, 4
_END_STREAM = 1
_END_HEADERS = 4
_CANCEL = 8


class CrawlingCall:
    """A call whose message was announced with so many bytes; it reads nothing of what it is answered."""

    def __init__(self, port: int, method: str, size: int, *, source: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 5, (source, 0))
        headers = _headers(method)
        self._socket.sendall(_PREFACE)
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


def _headers(method: str) -> dict[str, str]:
    return {
        ":method": "POST",
        ":scheme": "http",
        ":path": method,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }


def _frame(kind: int, flags: int, payload: bytes, stream: int = 1) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, b"", stream=0)


def _literal(name: str, value: str) -> bytes:
    """A header field of HPACK that is neither indexed nor compressed."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def reset_streams(method: str, count: int) -> bytes:
    """What a client sends that opens so many calls on one connection and resets each at once."""
    headers = b"".join(map(_literal, *zip(*_headers(method).items(), strict=True)))
    sent = bytearray(_PREFACE)
    for stream in range(1, 2 * count, 2):
        sent += _frame(_HEADERS, _END_HEADERS, headers, stream=stream)
        sent += _frame(_RST_STREAM, 0, struct.pack(">I", _CANCEL), stream=stream)
    return bytes(sent)


def opened_streams(method: str, count: int) -> bytes:
    """What a client sends that opens so many calls on one connection, and sends no message."""
    headers = b"".join(map(_literal, *zip(*_headers(method).items(), strict=True)))
    frames = (_frame(_HEADERS, _END_HEADERS, headers, stream=stream) for stream in range(1, 2 * count, 2))
    return _PREFACE + b"".join(frames)


def called_streams(method: str, count: int, message: bytes) -> bytes:
    """What a client sends that makes so many calls at once on one connection, with one message each."""
    headers = b"".join(map(_literal, *zip(*_headers(method).items(), strict=True)))
    sent = bytearray(_PREFACE)
    for stream in range(1, 2 * count, 2):
        sent += _frame(_HEADERS, _END_HEADERS, headers, stream=stream)
        sent += _frame(_DATA, _END_STREAM, struct.pack(">BI", 0, len(message)) + message, stream=stream)
    return bytes(sent)
