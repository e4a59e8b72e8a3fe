"""Channels to the gateway, and unary calls over them with a deadline, an API key and errors of the client library."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import grpc
from grpc import aio
from imageblur_client.rpc_errors import from_rpc

from services.common.domain.errors import ConfigurationError
from services.common.infra.settings import is_loopback
from services.common.infra.signing.visitors import VisitorProof
from services.web.http.visitors import VISITOR
from services.web.settings import WebSettings

RPC_SECONDS = 15.0
LARGEST_PAGE = 1000
_MAX_CONNECTIONS = 60
"""The gateway allows 100 calls on a connection, and each visitor who watches an order is one."""
_OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.max_receive_message_length", 16 << 20),
    # Find a restarted gateway soon.
    ("grpc.initial_reconnect_backoff_ms", 200),
    # How long an attempt may take: on a slow line, or beside much else, it needs seconds.
    ("grpc.min_reconnect_backoff_ms", 5000),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # Notice a gateway that vanished without closing its connection: a watch may be silent for long.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # A channel opens more connections when its calls need them.
    ("grpc.service_config", f'{{"connectionScaling": {{"maxConnectionsPerSubchannel": {_MAX_CONNECTIONS}}}}}'),
    ("grpc.max_connections_per_subchannel_cap", _MAX_CONNECTIONS),
]
_Response = TypeVar("_Response")


@dataclass(frozen=True, kw_only=True)
class Channels:
    """The synchronous channel of uploads (see `gateway.upload`), and the asynchronous one of all other calls."""

    uploads: grpc.Channel
    others: aio.Channel


@asynccontextmanager
async def open_channels(settings: WebSettings) -> AsyncIterator[Channels]:
    """Open both channels until the block ends. They connect with their first calls.

    Raises:
        ConfigurationError: The certificate file cannot be read.
    """
    target, credentials, options = settings.gateway_url, None, list(_OPTIONS)
    if not target.startswith("unix:"):
        parts = urlsplit(target)
        target = parts.netloc
        if is_loopback(parts.hostname or ""):
            options.append(("grpc.enable_http_proxy", 0))  # gRPC uses http_proxy even for loopback addresses
        if parts.scheme == "https":
            credentials = grpc.ssl_channel_credentials(_root_certificates(settings))
    if credentials:
        uploads = grpc.secure_channel(target, credentials, options=options)
        others = aio.secure_channel(target, credentials, options=options)
    else:
        uploads = grpc.insecure_channel(target, options=options)
        others = aio.insecure_channel(target, options=options)
    with uploads:
        async with others:
            yield Channels(uploads=uploads, others=others)


def _root_certificates(settings: WebSettings) -> bytes | None:
    try:
        return settings.gateway_ca_file.read_bytes() if settings.gateway_ca_file else None
    except OSError as error:
        raise ConfigurationError(f"IMAGEBLUR_GATEWAY_CA_FILE: {error}") from None


@contextmanager
def client_errors() -> Iterator[None]:
    """Convert errors of asynchronous gRPC calls to ImageBlurClientError."""
    try:
        yield
    except aio.AioRpcError as error:
        raise from_rpc(error, "the gateway") from error


class RpcCaller:
    """Makes calls with one API key, or without a key, on behalf of the current visitor."""

    def __init__(self, key: str | None, visitors: VisitorProof | None = None) -> None:
        self.key = key
        self._authorization = (("authorization", f"Bearer {key}"),) if key else ()
        self._visitors = visitors or VisitorProof(None)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata of a call."""
        return self._authorization + self._visitors.metadata(VISITOR.get())

    async def call(
        self,
        rpc: Callable[..., aio.UnaryUnaryCall[Any, _Response] | aio.StreamUnaryCall[Any, _Response]],
        request: object,
        *,
        timeout: float = RPC_SECONDS,  # noqa: ASYNC109 - the deadline of gRPC, which the gateway sees too
    ) -> _Response:
        """Return the only response of an RPC; `request`: an iterator of messages if it takes several.

        Raises:
            ImageBlurClientError: The call failed.
        """
        with client_errors():
            return await rpc(request, timeout=timeout, metadata=self.metadata)

    async def rows(
        self, rpc: Callable[..., aio.UnaryUnaryCall[Any, Any]], request: Any, field: str
    ) -> AsyncIterator[Any]:
        """Yield the rows of a list; reads a page at a time.

        Raises:
            ImageBlurClientError: A call failed.
        """
        request.page_size = LARGEST_PAGE
        while True:
            page = await self.call(rpc, request)
            for row in getattr(page, field):
                yield row
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token
