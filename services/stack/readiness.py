"""Asks until everything serves: `python -m services.stack.health GATEWAY [WEB]` exits 0 then, 1 after a minute.

Both are addresses as host:port. What the gateway needs, it looks at itself; the web pages need the gateway.

A program of its own, so that the supervisor never loads gRPC: a process that did should not fork.

Where the gateway speaks TLS, its certificate has to name that host. Its own file is root enough; for mutual TLS the
variables of the command line `imageblur` say what certificate to show (IMAGEBLUR_CERT_FILE, IMAGEBLUR_CERT_KEY_FILE).
"""

import asyncio
import sys
from pathlib import Path

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2

from services.common.infra.settings import Settings
from services.stack.address import reachable, split_address

PATIENCE = 60.0


async def serves(channel: grpc.aio.Channel) -> bool:
    """Whether a server says SERVING now."""
    check = channel.unary_unary(  # the stubs know of no calls on HealthStub
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    try:
        answer: health_pb2.HealthCheckResponse = await check(health_pb2.HealthCheckRequest(), timeout=2.0)
    except grpc.aio.AioRpcError:
        return False
    return answer.status == health_pb2.HealthCheckResponse.SERVING


async def wait_until_serves(address: str, within: float = PATIENCE) -> bool:
    """Ask until the answer is SERVING; False when it was not in time."""
    # gRPC waits a second and more between attempts to connect; a service that starts is there sooner.
    options = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 100)]
    credentials = _credentials()
    target = reachable(address)
    async with (
        grpc.aio.secure_channel(target, credentials, options=options)
        if credentials
        else grpc.aio.insecure_channel(target, options=options)
    ) as channel:
        try:
            async with asyncio.timeout(within):
                while not await serves(channel):  # noqa: ASYNC110 - another process has no event
                    await asyncio.sleep(0.05)
        except TimeoutError:
            return False
    return True


async def page_serves(address: str) -> bool:
    """Whether the web pages answer now."""
    parts = split_address(reachable(address))
    assert parts, "pages have a port"
    try:
        async with asyncio.timeout(2.0):
            reader, writer = await asyncio.open_connection(*parts)
            writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            status = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in status


async def main(gateway: str, web: str | None = None) -> bool:
    """Wait for both, a minute each."""
    if not await wait_until_serves(gateway):
        return False
    try:
        async with asyncio.timeout(PATIENCE):
            while web and not await page_serves(web):  # noqa: ASYNC110 - another process has no event
                await asyncio.sleep(0.05)
    except TimeoutError:
        return False
    return True


class _Tls(Settings):
    tls_certificate: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    cert_key_file: Path | None = None


def _credentials() -> grpc.ChannelCredentials | None:
    """For a gateway that speaks TLS by the settings."""
    tls = _Tls()
    if tls.tls_certificate is None:
        return None
    files = (tls.ca_file or tls.tls_certificate, tls.cert_key_file, tls.cert_file)
    return grpc.ssl_channel_credentials(*(file.read_bytes() if file else None for file in files))


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(main(*sys.argv[1:])) else 1)
