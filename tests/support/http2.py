"""Half a gRPC client on a bare socket: frames of HTTP/2 (RFC 9113), and calls whose messages crawl, or stall."""

import functools
import socket
import struct
from collections.abc import Mapping
from typing import Self

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK = END_STREAM = 1
END_HEADERS = 4
REFUSED_STREAM, CANCEL = 7, 8


def frame(kind: int, flags: int, payload: bytes, stream: int) -> bytes:
    """Return a frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def preface(settings: Mapping[int, int] | None = None) -> bytes:
    """Return how a client begins a connection."""
    values = b"".join(struct.pack(">HI", name, value) for name, value in (settings or {}).items())
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, values, stream=0)


@functools.cache
def header_block(method: str) -> bytes:
    """Return the header fields of a call, as literals of HPACK that are neither indexed nor compressed."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    return b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields.items()
    )


def headers(method: str, stream: int) -> bytes:
    """Return the frame that begins a call."""
    return frame(HEADERS, END_HEADERS, header_block(method), stream)


def message_frames(message: bytes, stream: int, frame_bytes: int = 16_384) -> bytes:
    """Return the frames of a call's only message."""
    body = struct.pack(">BI", 0, len(message)) + message
    starts = range(0, len(body), frame_bytes)
    return b"".join(
        frame(DATA, END_STREAM if start == starts[-1] else 0, body[start : start + frame_bytes], stream)
        for start in starts
    )


def reset(stream: int, code: int = CANCEL) -> bytes:
    """Return the frame that ends a call."""
    return frame(RST_STREAM, 0, struct.pack(">I", code), stream)


class CrawlingCall:
    """A call whose message was announced with so many bytes; it reads nothing of what it is answered."""

    def __init__(self, port: int, method: str, size: int, *, source: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 5, (source, 0))
        self._socket.sendall(preface() + headers(method, 1))
        self.crawl(struct.pack(">BI", 0, size))

    def crawl(self, data: bytes = b"\0" * 1024) -> None:
        """Send the next bytes."""
        self._socket.sendall(frame(DATA, 0, data, 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def reset_streams(method: str, count: int) -> bytes:
    """What a client sends that opens so many calls on one connection and resets each at once."""
    return preface() + b"".join(headers(method, stream) + reset(stream) for stream in _streams(count))


def opened_streams(method: str, count: int) -> bytes:
    """What a client sends that opens so many calls on one connection, and sends no message."""
    return preface() + b"".join(headers(method, stream) for stream in _streams(count))


def called_streams(method: str, count: int, message: bytes) -> bytes:
    """What a client sends that makes so many calls at once on one connection, with one message each."""
    return preface() + b"".join(headers(method, stream) + message_frames(message, stream) for stream in _streams(count))


def _streams(count: int) -> range:
    return range(1, 2 * count, 2)
