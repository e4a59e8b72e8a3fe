"""The HTTP server. It stops within seconds, although event streams may be open that never end by themselves."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager

import uvicorn

from services.common.domain.errors import ConfigurationError
from services.common.infra import log, metrics
from services.common.infra.process.descriptors import max_connections
from services.web.app import open_app
from services.web.http.connections import LimitedProtocol
from services.web.settings import WebSettings

GRACE_SECONDS = 8
"""Longest time for uploads and downloads in progress, in seconds."""
_log = log.get("services.web")


@asynccontextmanager
async def serve(settings: WebSettings) -> AsyncIterator[int]:
    """Serve until the block ends; yields the port.

    Raises:
        ConfigurationError: The address is not available.
    """
    listener = _listen(settings)
    async with open_app(settings) as web:
        server = _Server(
            uvicorn.Config(
                web.app,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                proxy_headers=False,
                http=LimitedProtocol.with_limit(max_connections()),
                ws="none",
                timeout_keep_alive=30,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            web.stopping.set()
            server.should_exit = True
            await task


async def run(settings: WebSettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics.serve("web", settings.metrics_host, settings.web_metrics_port)
    async with serve(settings) as port:
        _log.info("serving", address=settings.web_address, port=port)
        await stop.wait()
        _log.info("stopping")


class _Server(uvicorn.Server):
    """Does not handle signals: `run` does."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture no signals."""
        yield


def _listen(settings: WebSettings) -> socket.socket:
    host, port = settings.host_and_port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise ConfigurationError(
            f"IMAGEBLUR_WEB_ADDRESS: cannot listen on {settings.web_address} ({error.strerror}): is the port in use?"
        ) from None
    # Connections inherit it. asyncio does not set it for them, and answers would wait 40 ms for the browser's ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
