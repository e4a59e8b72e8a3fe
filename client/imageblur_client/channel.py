"""The way to a server, and what is shown there: an API key, a certificate."""

import ipaddress
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from imageblur_client.errors import ImageBlurClientError
from imageblur_client.key_interceptor import WithKey

DEFAULT_SERVER = "127.0.0.1:50051"
_DEFAULT_PORT = 50051
_HOST_WITHOUT_PORT = re.compile(r"[^:/\[\]]+|\[[^\]]+\]")


def address(server: str) -> str:
    """The server's address with a port; gRPC names such as `unix:/run/imageblur.sock` stay what they are."""
    # Without a port gRPC would knock at 443.
    return f"{server}:{_DEFAULT_PORT}" if _HOST_WITHOUT_PORT.fullmatch(server) else server


@dataclass(frozen=True)
class Security:
    """How a client and its server know each other.

    key: the API key that is sent with every call.
    tls: True: TLS, with the roots of this machine unless `ca_file` names others; None: where a file is given.
    ca_file, certificate_file, certificate_key_file: PEM; the latter two are the client's own, for mutual TLS.
    plaintext_key: True: send the key to another machine without TLS, too: only in a network that is one's own.
    """

    key: str | None = field(default=None, repr=False)
    tls: bool | None = None
    ca_file: str | os.PathLike[str] | None = None
    certificate_file: str | os.PathLike[str] | None = None
    certificate_key_file: str | os.PathLike[str] | None = None
    plaintext_key: bool = False

    @property
    def encrypted(self) -> bool:
        """Whether the connection is one over TLS."""
        return bool(self.ca_file or self.certificate_file) if self.tls is None else self.tls


NOTHING = Security()


def open_channel(server: str, security: Security = NOTHING) -> grpc.Channel:
    """A channel that connects with its first call.

    Raises: OSError when a file cannot be read, ImageBlurClientError where the key would travel for all to see.
    """
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
    if security.encrypted:
        channel = grpc.secure_channel(server, _credentials(security), options=options)
    elif security.key and not (security.plaintext_key or _is_here(server)):
        message = f"the API key would travel to {server} for all to see: use TLS, or say that plaintext is meant"
        raise ImageBlurClientError(message, code=grpc.StatusCode.UNAUTHENTICATED)
    else:
        channel = grpc.insecure_channel(server, options=options)
    return grpc.intercept_channel(channel, WithKey(security.key)) if security.key else channel


def _credentials(security: Security) -> grpc.ChannelCredentials:
    files = (security.ca_file, security.certificate_key_file, security.certificate_file)
    return grpc.ssl_channel_credentials(*(Path(file).read_bytes() if file else None for file in files))


def _is_here(server: str) -> bool:
    if server.startswith("unix:"):
        return True
    host = server.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
