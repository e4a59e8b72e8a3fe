"""`python -m services.stack.readiness GATEWAY [WEB]`: wait until both serve and a blur worker of this machine is ready.

Exits with 0 then, with 1 if one takes longer than a minute, and prints which. Both addresses are host:port. The gateway
checks its own dependencies; the web pages depend on the gateway. A blur worker is ready once it has blurred a picture.

This is a program of its own because the supervisor forks, and a process that has loaded gRPC should not.

If the gateway uses TLS, its certificate must name that host; the certificate file itself is trusted. For mutual TLS,
the variables of the command line `imageblur` name the client certificate (IMAGEBLUR_CERT_FILE,
IMAGEBLUR_CERT_KEY_FILE).
"""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import grpc.aio
import psutil
from grpc_health.v1 import health_pb2

from services.common.db.engine import Database
from services.common.db.queues import workers
from services.common.domain.errors import Unavailable
from services.common.infra.messaging.messages import BLUR_QUEUE
from services.common.infra.settings import CommonSettings, Settings
from services.stack.address import reachable, split_address

TIMEOUT = 60.0
POLL_SECONDS = 0.02


async def serves(channel: grpc.aio.Channel) -> bool:
    """Return whether a server reports SERVING now."""
    check = channel.unary_unary(  # the type stubs lack the calls of HealthStub
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    try:
        answer: health_pb2.HealthCheckResponse = await check(health_pb2.HealthCheckRequest(), timeout=2.0)
    except grpc.aio.AioRpcError:
        return False
    return answer.status == health_pb2.HealthCheckResponse.SERVING


async def wait_until_serves(address: str, within: float = TIMEOUT) -> bool:
    """Poll until the server reports SERVING; return False if it does not within so many seconds."""
    # gRPC waits a tenth of a second at least between attempts to connect, by default a second and more.
    options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100)]
    credentials = _credentials()
    target = reachable(address)
    try:
        async with asyncio.timeout(within):
            while not await _accepts_connections(target):  # noqa: ASYNC110 - another process has no event
                await asyncio.sleep(POLL_SECONDS)
            async with (
                grpc.aio.secure_channel(target, credentials, options=options)
                if credentials
                else grpc.aio.insecure_channel(target, options=options)
            ) as channel:
                while not await serves(channel):  # noqa: ASYNC110
                    await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        return False
    return True


async def _accepts_connections(address: str) -> bool:
    try:
        if parts := split_address(address):
            _, writer = await asyncio.open_connection(*parts)
        else:
            _, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    except OSError:
        return False
    writer.close()
    return True


async def page_serves(address: str) -> bool:
    """Return whether the web pages answer now, and reach the gateway."""
    parts = split_address(reachable(address))
    assert parts, "validated: a host and a port"
    try:
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_connection(*parts)
            writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            status = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in status


def worker_is_ready(database: Database) -> bool:
    """Return whether a blur worker of this machine has reported that it is ready, and is alive."""
    try:
        with database.read() as session:
            found = workers.list_workers(session)
    except Unavailable:
        return False
    host = socket.gethostname()
    return any(
        alive and worker.queue == BLUR_QUEUE and worker.host == host and psutil.pid_exists(worker.pid)
        for worker, alive in found
    )


async def main(gateway: str, web: str | None = None) -> bool:
    """Wait for one after the other, a minute each at most; return whether all serve."""
    database = Database(CommonSettings.load().database_url, pool_size=1)
    waits: dict[str, Callable[[], Awaitable[bool]]] = {"gateway to answer": lambda: wait_until_serves(gateway)}
    if web:
        # After the gateway: asked earlier, they would not try again for a while to connect to it.
        waits["web pages to answer"] = lambda: _becomes_true(lambda: page_serves(web))
    waits["blur worker to be ready"] = lambda: _becomes_true(lambda: asyncio.to_thread(worker_is_ready, database))
    try:
        for what, wait in waits.items():
            if not await wait():
                print(f"still waiting for the {what}", flush=True)
                return False
    finally:
        database.close()
    return True


async def _becomes_true(check: Callable[[], Awaitable[bool]]) -> bool:
    """Repeat a check until it holds, a minute at most; return whether it does."""
    try:
        async with asyncio.timeout(TIMEOUT):
            while not await check():  # noqa: ASYNC110 - another process has no event
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        return False
    return True


class _TlsSettings(Settings):
    tls_certificate: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    cert_key_file: Path | None = None


def _credentials() -> grpc.ChannelCredentials | None:
    """Return the credentials for a gateway that uses TLS by the settings."""
    tls = _TlsSettings()
    if tls.tls_certificate is None:
        return None
    files = (tls.ca_file or tls.tls_certificate, tls.cert_key_file, tls.cert_file)
    return grpc.ssl_channel_credentials(*(file.read_bytes() if file else None for file in files))


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(main(*sys.argv[1:])) else 1)
