"""The way to a server."""

import ipaddress
import re

import grpc

DEFAULT_SERVER = "127.0.0.1:50051"
_DEFAULT_PORT = 50051
_HOST_WITHOUT_PORT = re.compile(r"[^:/\[\]]+|\[[^\]]+\]")


def address(server: str) -> str:
    """The server's address with a port; gRPC names such as `unix:/run/imageblur.sock` stay what they are."""
    # Without a port gRPC would knock at 443.
    return f"{server}:{_DEFAULT_PORT}" if _HOST_WITHOUT_PORT.fullmatch(server) else server


def open_channel(server: str) -> grpc.Channel:
    """A channel that connects with its first call."""
    options: list[tuple[str, int]] = [
        # A page of 1,000 images with long names may pass gRPC's 4 MiB.
        ("grpc.max_receive_message_length", 16 * 1024 * 1024),
        # A watch that resumes should find a restarted server within a moment, not after gRPC's up to two minutes.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 2000),
    ]
    if _is_here(server):
        # gRPC honours http_proxy even for this very machine.
        options.append(("grpc.enable_http_proxy", 0))
    return grpc.insecure_channel(server, options=options)


def _is_here(server: str) -> bool:
    host = server.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
