"""Instant calls between a gateway and a worker of the same machine: over a Unix socket instead of the broker.

A worker reports with each answer over the broker where it listens (`Direct`). Then a gateway of the same machine
sends its calls there, one at a time over each connection:

    gateway                                   worker
    size, the request                ──────►
                                     ◄──────  TAKEN; or BUSY: the call goes into the queue
                                              works
                                     ◄──────  sizes, the outcome, the result

The end of a connection is the end of the other side: of a caller that is gone, or of a worker that was killed.
"""

import socket
import struct
from dataclasses import dataclass
from typing import Any

DIRECT_BYTES = 1 << 20
"""A gateway receives larger results when it has reserved room for them."""
TAKEN, BUSY = b"T", b"B"
SIZE = struct.Struct(">Q")
"""Size of a request."""
SIZES = struct.Struct(">II")
"""Sizes of an outcome and of a result."""
_SOCKET_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Direct:
    """Where a worker takes calls directly, and how many at a time."""

    path: str
    calls: int


def enlarge_buffers(connection: Any) -> None:
    """Let a photograph be sent at once, as far as the system allows."""
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        connection.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BYTES)
