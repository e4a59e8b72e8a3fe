"""Opens channels to a server, with TLS and an API key where required."""

import ipaddress
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from imageblur_client.errors import ImageBlurClientError
from imageblur_client.key_interceptor import ApiKeyInterceptor

DEFAULT_SERVER = "127.0.0.1:50051"
_DEFAULT_PORT = 50051
_HOST_WITHOUT_PORT = re.compile(r"[^:/\[\]]+|\[[^\]]+\]")


def address(server: str) -> str:
    """Return the server's address with a port; gRPC names such as `unix:/run/imageblur.sock` are unchanged."""
    # Without a port gRPC would connect to 443.
    return f"{server}:{_DEFAULT_PORT}" if _HOST_WITHOUT_PORT.fullmatch(server) else server


@dataclass(frozen=True, kw_only=True)
class Security:
    """How a client and its server authenticate each other.

    Attributes:
        key: API key, sent with every call.
        tls: Use TLS; None: if a certificate file is given.
        ca_file: CA certificates (PEM) of the server; None: those of this machine.
        certificate_file: Certificate (PEM) of the client, for mutual TLS.
        certificate_key_file: Key (PEM) of that certificate.
        plaintext_key: Allow sending the key to another machine without TLS. For private networks only.
    """

    key: str | None = field(default=None, repr=False)
    tls: bool | None = None
    ca_file: str | os.PathLike[str] | None = None
    certificate_file: str | os.PathLike[str] | None = None
    certificate_key_file: str | os.PathLike[str] | None = None
    plaintext_key: bool = False

    @property
    def encrypted(self) -> bool:
        """Whether the connection uses TLS."""
        return bool(self.ca_file or self.certificate_file) if self.tls is None else self.tls


NO_SECURITY = Security()


def open_channel(server: str, security: Security = NO_SECURITY) -> grpc.Channel:
    """Return a channel, which connects with its first call.

    Raises:
        OSError: A file cannot be read.
        ImageBlurClientError: The key would be sent to another machine unencrypted.
    """
    options, credentials = _options(server), _checked_credentials(server, security)
    if credentials is None:
        channel = grpc.insecure_channel(server, options=options)
    else:
        channel = grpc.secure_channel(server, credentials, options=options)
    return grpc.intercept_channel(channel, ApiKeyInterceptor(security.key)) if security.key else channel


def open_async_channel(server: str, security: Security = NO_SECURITY) -> "grpc.aio.Channel":
    """Return a channel for asynchronous calls, each of which needs the metadata of `authorization`.

    Raises:
        As `open_channel`.
    """
    from grpc import aio  # noqa: PLC0415 - slow to load

    options, credentials = _options(server), _checked_credentials(server, security)
    if credentials is None:
        return aio.insecure_channel(server, options=options)
    return aio.secure_channel(server, credentials, options=options)


def authorization(security: Security) -> tuple[tuple[str, str], ...]:
    """Return the metadata that carries the API key."""
    return (("authorization", f"Bearer {security.key}"),) if security.key else ()


def _options(server: str) -> list[tuple[str, int]]:
    options = [
        # A page of 1,000 images with long names may exceed gRPC's default of 4 MiB.
        ("grpc.max_receive_message_length", 16 * 1024 * 1024),
        # A resumed watch should reconnect to a restarted server quickly; gRPC waits up to two minutes by default.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 2000),
    ]
    if _is_local(server):
        # gRPC uses http_proxy for local addresses, too.
        options.append(("grpc.enable_http_proxy", 0))
    return options


def _checked_credentials(server: str, security: Security) -> grpc.ChannelCredentials | None:
    """Return the credentials for TLS; None without it."""
    if not security.encrypted:
        if security.key and not (security.plaintext_key or _is_local(server)):
            message = f"the API key would be sent to {server} unencrypted: use TLS, or set plaintext_key to allow that"
            raise ImageBlurClientError(message, code=grpc.StatusCode.UNAUTHENTICATED)
        return None
    files = (security.ca_file, security.certificate_key_file, security.certificate_file)
    return grpc.ssl_channel_credentials(*(Path(file).read_bytes() if file else None for file in files))


def _is_local(server: str) -> bool:
    if server.startswith("unix:"):
        return True
    host = server.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
