"""The gRPC server: everything wired together, in one place."""

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

from services.common import migrations
from services.common.db.engine import Database
from services.common.domain.errors import ConfigurationError
from services.common.infra import broker, metrics, tracing
from services.common.infra.blobs import BlobStore
from services.common.infra.broker import Broker
from services.common.infra.messages import BLUR_QUEUE, MAIL_QUEUE
from services.common.infra.tokens import Tokens
from services.common.use_cases.order_lifecycle import make_lifecycle
from services.gateway.operator.failures import OperatorFailures
from services.gateway.operator.mail import OperatorMail
from services.gateway.operator.queues import OperatorQueues
from services.gateway.operator.servicer import OperatorServicer
from services.gateway.orders.readiness import Readiness
from services.gateway.orders.servicer import MAX_CHUNK_BYTES, BlurServicer
from services.gateway.orders.uploads import Intake
from services.gateway.orders.use_cases import UseCases
from services.gateway.orders.watch_hub import Watching
from services.gateway.rpc.access import Access
from services.gateway.rpc.admission import Admission
from services.gateway.rpc.health import Health
from services.gateway.rpc.interceptors import Boundary
from services.gateway.rpc.key_cache import KeyRing
from services.gateway.rpc.thread_pool import Offload
from services.gateway.rpc.tls import Certificates
from services.gateway.settings import MIB, GatewaySettings
from services.gateway.subscriptions.servicer import SubscriptionServicer

GRACE_SECONDS = 10
LAST_WORDS_SECONDS = 5
"""For the answers of calls that were cut short to reach their clients."""
LOOKAHEAD_BYTES = MIB
"""More keeps distant clients faster (15 MiB/s each at 80 ms), but every call that is waiting may fill it."""
SPARE_CALLS = 1_000
"""For calls that are being sent away; beyond them gRPC refuses without a word."""

SERVICES = (
    blur_service_pb2.DESCRIPTOR.services_by_name["BlurService"].full_name,
    subscription_service_pb2.DESCRIPTOR.services_by_name["SubscriptionService"].full_name,
    operator_service_pb2.DESCRIPTOR.services_by_name["OperatorService"].full_name,
)


@asynccontextmanager
async def serve(settings: GatewaySettings) -> AsyncIterator[int]:
    """Serve for as long as the block lasts; the port is handed to it.

    At its end: health says NOT_SERVING, watchers are sent away, calls under way get ten seconds, then all is closed.

    Raises:
        ConfigurationError: A setting is wrong, the address is taken, or the database is at another revision.
    """
    credentials = _credentials(settings)
    async with contextlib.AsyncExitStack() as stack:
        tracing.start("gateway", settings.traces_endpoint)
        stack.callback(tracing.stop)
        metrics.serve("gateway", settings.metrics_host, settings.gateway_metrics_port)
        database = Database(settings.database_url, pool_size=settings.gateway_threads)
        stack.callback(database.close)
        migrations.check(database)
        queues = broker.connect(settings.broker_url, BLUR_QUEUE, MAIL_QUEUE, fail_fast=True)
        blobs = BlobStore(settings.blob_url)
        offload = Offload(settings.gateway_threads)
        stack.callback(offload.close)
        tokens = Tokens(*settings.signing_keys)
        use_cases = UseCases(database, blobs, queues, tokens, settings.order_window, settings.mail_cooldown_seconds)
        watching = Watching(
            settings.broker_url,
            changes=lambda order_id, after: offload(use_cases.changes, order_id, after),
            revisions=lambda order_ids: offload(use_cases.revisions, order_ids),
        )
        watching.start()
        readiness = Readiness(settings, database, blobs, offload)
        stack.push_async_callback(readiness.close)
        checks = {"database": database.ping, "broker": queues.ping, "blob store": blobs.ping, "disk": readiness.disks}
        health = Health(SERVICES, checks, offload)
        admission = Admission(settings, upload_bytes=blobs.writer_bytes + 2 * MAX_CHUNK_BYTES)
        ring = KeyRing(database, offload)
        await ring.refresh()
        access = Access(ring, anonymous=settings.anonymous_role, reflection=settings.reflection)
        boundary = Boundary(admission, access)
        server = _server(settings, boundary, admission)
        intake = Intake(settings, database, blobs, queues, offload, readiness)
        add_BlurServiceServicer_to_server(BlurServicer(intake, use_cases, watching), server)
        add_SubscriptionServiceServicer_to_server(
            SubscriptionServicer(use_cases, offload, readiness.limits, settings), server
        )
        add_OperatorServiceServicer_to_server(_operator(settings, database, queues, blobs, offload), server)
        health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
        if settings.reflection != "off":
            health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
            reflection.enable_server_reflection((*SERVICES, health_name, reflection.SERVICE_NAME), server)
        port = _listen(server, settings.gateway_address, credentials)
        await health.look()
        await server.start()
        tasks = [asyncio.create_task(health.watch()), asyncio.create_task(ring.keep_fresh())]
        try:
            yield port
        finally:
            for task in tasks:
                task.cancel()
            await health.stop()
            await watching.stop()
            async with asyncio.TaskGroup() as ends:
                ends.create_task(server.stop(GRACE_SECONDS + LAST_WORDS_SECONDS))
                ends.create_task(boundary.stop(GRACE_SECONDS))


def _operator(
    settings: GatewaySettings, database: Database, queues: Broker, blobs: BlobStore, offload: Offload
) -> OperatorServicer:
    lifecycle = make_lifecycle(database, blobs, queues, window=settings.order_window)
    return OperatorServicer(
        database,
        offload,
        OperatorQueues(database, queues, lifecycle),
        OperatorFailures(database, queues, blobs, settings.order_window),
        OperatorMail(database, lifecycle, offload),
    )


def _server(settings: GatewaySettings, boundary: Boundary, admission: Admission) -> aio.Server:
    return aio.server(
        interceptors=[boundary],
        maximum_concurrent_rpcs=admission.most_calls + SPARE_CALLS,
        options=[
            ("grpc.max_receive_message_length", settings.largest_message),
            ("grpc.so_reuseport", 0),
            # So much of a call is taken in before we ask for it. By default gRPC widens that to what the line carries,
            # and a message is in memory before there is room for it.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", LOOKAHEAD_BYTES),
            # A peer that has vanished is noticed within 40 seconds, and its calls end.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
            # Clients may ask as often as every ten seconds whether we are there.
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ],
    )


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
    return Certificates(settings.tls_certificate, settings.tls_key, settings.tls_client_ca).credentials()
