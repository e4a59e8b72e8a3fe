"""Opens channels to a server, with TLS and an API key where required."""

from pathlib import Path

import grpc

from imageblur_client.errors import ImageBlurClientError
from imageblur_client.key_interceptor import ApiKeyInterceptor
from imageblur_client.security import DEFAULT_SERVER, NO_SECURITY, Security, address, is_local

__all__ = [
    "DEFAULT_SERVER",
    "NO_SECURITY",
    "Security",
    "address",
    "authorization",
    "open_async_channel",
    "open_channel",
]


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


def _options(server: str) -> list[tuple[str, int | str]]:
    options: list[tuple[str, int | str]] = [
        # A page of 1,000 images with long names may exceed gRPC's default of 4 MiB.
        ("grpc.max_receive_message_length", 16 * 1024 * 1024),
        # A resumed watch should reconnect to a restarted server quickly; gRPC waits up to two minutes by default.
        ("grpc.initial_reconnect_backoff_ms", 200),
        # How long an attempt may take: a slow line needs seconds.
        ("grpc.min_reconnect_backoff_ms", 5000),
        ("grpc.max_reconnect_backoff_ms", 2000),
        # A server allows 100 calls on a connection: more connections for more calls, instead of waiting.
        ("grpc.service_config", '{"connectionScaling": {"maxConnectionsPerSubchannel": 10}}'),
    ]
    if is_local(server):
        # gRPC uses http_proxy for local addresses, too.
        options.append(("grpc.enable_http_proxy", 0))
    return options


def _checked_credentials(server: str, security: Security) -> grpc.ChannelCredentials | None:
    """Return the credentials for TLS; None without it."""
    if not security.encrypted:
        if security.key and not (security.plaintext_key or is_local(server)):
            message = f"the API key would be sent to {server} unencrypted: use TLS, or set plaintext_key to allow that"
            raise ImageBlurClientError(message, code=grpc.StatusCode.UNAUTHENTICATED)
        return None
    files = (security.ca_file, security.certificate_key_file, security.certificate_file)
    return grpc.ssl_channel_credentials(*(Path(file).read_bytes() if file else None for file in files))
