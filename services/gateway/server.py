"""Starts and stops the gRPC server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from imageblur.v1 import blur_service_pb2, operator_service_pb2, subscription_service_pb2
from imageblur.v1.blur_service_pb2_grpc import add_BlurServiceServicer_to_server
from imageblur.v1.operator_service_pb2_grpc import add_OperatorServiceServicer_to_server
from imageblur.v1.subscription_service_pb2_grpc import add_SubscriptionServiceServicer_to_server

from services.common.domain.errors import ConfigurationError
from services.common.infra import metrics, tracing
from services.common.infra.signing.visitors import VisitorProof
from services.gateway.orders.placement.placement_servicer import MAX_CHUNK_BYTES
from services.gateway.orders.reading.watch_hub import WatchHub
from services.gateway.rpc.access import AccessControl
from services.gateway.rpc.grpc_server import make_server, one_queue
from services.gateway.rpc.health import HealthMonitor
from services.gateway.rpc.interceptors import CallInterceptor
from services.gateway.rpc.key_cache import KeyCache
from services.gateway.rpc.limits.admission import Admission
from services.gateway.rpc.messages.message_parser import MessageParser
from services.gateway.rpc.tls import CertificateFiles
from services.gateway.settings import GatewaySettings
from services.gateway.wiring import blur_servicer, connect, operator_servicer, subscription_servicer

SETTLE_SECONDS = 1
"""Longest time, in seconds, in which calls that have arrived begin, before connections end."""
GRACE_SECONDS = 10
RESPONSE_SECONDS = 5
"""Longest time, in seconds, for the statuses of calls ended after the grace period to reach their clients."""
SERVICES = (
    blur_service_pb2.DESCRIPTOR.services_by_name["BlurService"].full_name,
    subscription_service_pb2.DESCRIPTOR.services_by_name["SubscriptionService"].full_name,
    operator_service_pb2.DESCRIPTOR.services_by_name["OperatorService"].full_name,
)


@asynccontextmanager
async def serve(settings: GatewaySettings) -> AsyncIterator[int]:
    """Serve until the block ends; yield the port.

    At the end, health reports NOT_SERVING, watches are ended, and active calls get ten seconds before all is closed.

    Raises:
        ConfigurationError: A setting is wrong, the address is in use, or the database has another revision.
    """
    credentials = _credentials(settings)
    async with contextlib.AsyncExitStack() as stack:
        tracing.start("gateway", settings.traces_endpoint)
        stack.callback(tracing.stop)
        metrics.serve("gateway", settings.metrics_host, settings.gateway_metrics_port)
        deps = connect(settings, stack)
        database, threads, reader = deps.database, deps.threads, deps.reader
        hub = WatchHub(
            settings.broker_url,
            changes=lambda order_id, after: threads.run(reader.changes, order_id, after),
            revisions=lambda order_ids: threads.run(reader.revisions, order_ids),
        )
        checks = {
            "database": database.ping,
            "broker": deps.broker.ping,
            "blob store": deps.blobs.ping,
            "disk": deps.disk_space.check,
        }
        health = HealthMonitor(SERVICES, checks, threads)
        keys = KeyCache(database, threads)
        await keys.refresh()
        visitors = VisitorProof(settings.visitor_secret.get_secret_value() if settings.visitor_secret else None)
        access = AccessControl(
            keys, anonymous=settings.anonymous_role, reflection=settings.reflection, visitors=visitors
        )
        admission = Admission(settings, upload_bytes=deps.blobs.writer_bytes + 2 * MAX_CHUNK_BYTES)
        parser = MessageParser(
            deps.parsing, max_images=settings.largest_order, max_regions=settings.max_message_regions
        )
        interceptor = CallInterceptor(admission, access, parser)

        server = make_server([interceptor], max_calls=admission.max_calls, max_message_bytes=settings.largest_message)
        methods = one_queue(server)
        add_BlurServiceServicer_to_server(blur_servicer(settings, deps, hub, admission.instant_share), methods)
        add_SubscriptionServiceServicer_to_server(subscription_servicer(settings, deps), methods)
        add_OperatorServiceServicer_to_server(operator_servicer(settings, deps), methods)
        health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
        if settings.reflection != "off":
            health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
            reflection.enable_server_reflection((*SERVICES, health_name, reflection.SERVICE_NAME), server)
        port = _listen(server, settings.gateway_address, credentials)

        hub.start()
        deps.exchanges.start()
        await health.check()
        await server.start()
        tasks = [asyncio.create_task(health.run()), asyncio.create_task(keys.run())]
        try:
            yield port
        finally:
            for task in tasks:
                task.cancel()
            await health.stop()
            await hub.stop()
            # First: gRPC ends calls as CANCELLED that have arrived when it is stopped, but have not begun.
            await interceptor.settle(SETTLE_SECONDS)
            async with asyncio.TaskGroup() as group:
                group.create_task(server.stop(3600))  # sends GOAWAY
                await interceptor.stop(GRACE_SECONDS)
                # Begins only now: gRPC ends calls as CANCELLED, and the process may be halted beyond both times.
                await server.stop(RESPONSE_SECONDS)


def _listen(server: aio.Server, address: str, credentials: grpc.ServerCredentials | None) -> int:
    try:
        return server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    except RuntimeError:
        raise ConfigurationError(
            f"IMAGEBLUR_GATEWAY_ADDRESS: cannot listen on {address}: is the port in use?"
        ) from None


def _credentials(settings: GatewaySettings) -> grpc.ServerCredentials | None:
    if not (settings.tls_certificate and settings.tls_key):
        return None
    return CertificateFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca).credentials()
