"""The gRPC server and its limits of connections and streams."""

from collections.abc import Sequence
from typing import cast

from grpc import aio

from services.common.infra.process.descriptors import max_connections

LOOKAHEAD_BYTES = 1 << 20
"""More would speed up distant clients (15 MiB/s each at 80 ms), but each waiting call may fill it."""
SPARE_CALLS = 8_000
"""For calls that wait or are being refused; beyond them gRPC refuses calls without details."""
MAX_STREAMS = 100
"""Concurrent calls of a connection: so many can be ahead of a call of somebody else."""
MAX_ENDED_STREAMS = 100
"""Calls of a connection that have ended, but that Python still holds: what a client that resets them can add."""
MAX_PENDING = 50_000
"""Calls that have arrived and not begun, of all connections."""


def make_server(interceptors: Sequence[aio.ServerInterceptor], *, max_calls: int, max_message_bytes: int) -> aio.Server:
    """Return a server that limits what each connection, and all together, may have.

    Args:
        interceptors: Of every call.
        max_calls: Calls that are served at a time; more may wait, or be refused.
        max_message_bytes: Size of the largest message that is received.
    """
    return aio.server(
        interceptors=interceptors,
        maximum_concurrent_rpcs=max_calls + SPARE_CALLS,
        options=[
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.so_reuseport", 0),
            # Clients keep further calls back; of those that do not, gRPC refuses streams (REFUSED_STREAM).
            ("grpc.max_concurrent_streams", MAX_STREAMS),
            ("grpc.http2.max_deallocating_streams", MAX_ENDED_STREAMS),
            # Beyond these, gRPC ends calls as CANCELLED or UNAVAILABLE, without a reason; admission answers with one.
            ("grpc.server.max_pending_requests", MAX_PENDING),
            ("grpc.server.max_pending_requests_hard_limit", MAX_PENDING),
            # Nor after 30 seconds, the default, in which a gateway without processor time has not begun them.
            ("grpc.server_max_unrequested_time_in_server", 3600),
            # How much of a message is received before it is read. By default gRPC increases it to the bandwidth of the
            # connection, and a message is in memory before its bytes are reserved.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", LOOKAHEAD_BYTES),
            # Beyond, new connections are closed; without it, descriptors run out and nothing is accepted any more.
            ("grpc.max_allowed_incoming_connections", max_connections()),
            ("grpc.server_handshake_timeout_ms", 10_000),
            ("grpc.max_connection_idle_ms", 300_000),
            # The calls of a peer that has disappeared end within 40 seconds.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
            # Clients may send keepalive pings every ten seconds.
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ],
    )


def one_queue(server: aio.Server) -> aio.Server:
    """Return what adds services to a server so that their calls come in one queue, whatever their method.

    gRPC would keep a queue for each method, and wait for all of them anew for each call: a sixth of what it takes to
    accept one, if there are eighty. Health checks keep a queue of their own.
    """
    return cast("aio.Server", _OneQueue(server))


class _OneQueue:
    def __init__(self, server: aio.Server) -> None:
        self.add_generic_rpc_handlers = server.add_generic_rpc_handlers

    def add_registered_method_handlers(self, *_: object) -> None:
        """Leave the methods to the queue of all."""
