"""What the gateway depends on, and its services wired to it."""

import contextlib
from dataclasses import dataclass

from services.common import migrations
from services.common.db.engine import Database
from services.common.domain.mailboxes import MailboxHasher
from services.common.infra.blobs import BlobStore
from services.common.infra.disk_space import DiskSpace
from services.common.infra.fair_executor import FairExecutor
from services.common.infra.head_starts import HeadStarts
from services.common.infra.messaging import broker
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import (
    BLUR_QUEUE,
    FETCH_QUEUE,
    FIND_QUEUE,
    INSTANT_QUEUE,
    MAIL_QUEUE,
    WEBHOOK_QUEUE,
)
from services.common.infra.places import Places
from services.common.infra.signing.tokens import Tokens
from services.common.infra.signing.webhook_secrets import WebhookSecrets
from services.common.use_cases.mail_reports import RecordMailReports
from services.common.use_cases.order_lifecycle import OrderLifecycle, make_lifecycle
from services.common.use_cases.recipients import Recipients
from services.gateway.instant.calls import SendInstantCall
from services.gateway.instant.direct_workers import DirectWorkers
from services.gateway.instant.exchanges import GatewayExchanges
from services.gateway.instant.paused_queue import QueuePause
from services.gateway.instant.queue import InstantQueue
from services.gateway.operator.access.personal_data import PersonalData
from services.gateway.operator.mail.subscribers import SubscriberOperations
from services.gateway.operator.operator_jobs import OperatorJobs
from services.gateway.operator.orders.order_actions import OrderActions
from services.gateway.operator.queues.failures import FailureOperations
from services.gateway.operator.queues.queues import QueueOperations
from services.gateway.operator.servicer import OperatorServicer
from services.gateway.orders.delivery_requests import RequestDelivery
from services.gateway.orders.placement.available_models import AvailableModels
from services.gateway.orders.placement.broker_check import BrokerCheck
from services.gateway.orders.placement.external_access import ExternalAccessPolicy
from services.gateway.orders.placement.fetch_workers import FetchWorkers
from services.gateway.orders.placement.list_sources import ListSources
from services.gateway.orders.placement.order_upload import OrderReceiver
from services.gateway.orders.placement.pending_order import OrderStorage
from services.gateway.orders.placement.placement_servicer import MAX_CHUNK_BYTES
from services.gateway.orders.reading.downloads import ResultDownloads
from services.gateway.orders.reading.order_reader import OrderReader
from services.gateway.orders.reading.previews import FindPreview
from services.gateway.orders.reading.watch_hub import WatchHub
from services.gateway.orders.revision_requests import ReviseImages
from services.gateway.orders.servicer import BlurServicer
from services.gateway.rpc.limits.byte_budget import ByteBudget
from services.gateway.rpc.thread_pool import ThreadPool
from services.gateway.settings import MIB, GatewaySettings
from services.gateway.subscriptions.servicer import SubscriptionServicer
from services.gateway.subscriptions.use_cases import Subscriptions
from services.gateway.uploads.servicer import Uploads
from services.gateway.webhooks.caller_secrets import CallerSecrets


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """What the servicers need."""

    database: Database
    blobs: BlobStore
    broker: Broker
    broker_check: BrokerCheck
    disk_space: DiskSpace
    threads: ThreadPool
    parsing: FairExecutor
    tokens: Tokens
    recipients: Recipients
    lifecycle: OrderLifecycle
    reader: OrderReader
    instant_queue: InstantQueue
    exchanges: GatewayExchanges
    direct: DirectWorkers
    head_starts: HeadStarts


def connect(settings: GatewaySettings, stack: contextlib.AsyncExitStack) -> Dependencies:
    """Open what the gateway depends on; the stack closes it.

    Raises:
        ConfigurationError: The database has another revision.
    """
    database = Database(settings.database_url, pool_size=settings.gateway_threads)
    stack.callback(database.close)
    migrations.check(database)
    queues = broker.connect(
        settings.broker_url,
        BLUR_QUEUE,
        FIND_QUEUE,
        FETCH_QUEUE,
        MAIL_QUEUE,
        INSTANT_QUEUE,
        WEBHOOK_QUEUE,
        fail_fast=True,
    )
    blobs = BlobStore(settings.blob_url)
    threads = ThreadPool(settings.gateway_threads)
    stack.callback(threads.close)
    parsing = FairExecutor("parsing")
    stack.callback(parsing.close)
    broker_check = BrokerCheck(settings.broker_url, settings.max_orders_per_minute, settings.max_unconfirmed_per_hour)
    stack.push_async_callback(broker_check.close)
    exchanges = GatewayExchanges(settings.broker_url)
    stack.push_async_callback(exchanges.stop)
    direct = DirectWorkers()
    stack.callback(direct.close)
    head_starts = HeadStarts(blobs.folder)
    stack.callback(head_starts.close)
    folders = [folder for folder in (blobs.folder, database.folder) if folder]
    return Dependencies(
        database=database,
        blobs=blobs,
        broker=queues,
        broker_check=broker_check,
        disk_space=DiskSpace(folders, settings.min_free_mb * MIB),
        threads=threads,
        parsing=parsing,
        tokens=Tokens(*settings.signing_keys),
        recipients=Recipients.of(settings, MailboxHasher(*settings.signing_keys)),
        lifecycle=make_lifecycle(database, blobs, queues, window=settings.order_window),
        reader=OrderReader(database),
        instant_queue=InstantQueue(queues),
        exchanges=exchanges,
        direct=direct,
        head_starts=head_starts,
    )


def _order_storage(settings: GatewaySettings, deps: Dependencies) -> OrderStorage:
    return OrderStorage(
        settings=settings,
        database=deps.database,
        blobs=deps.blobs,
        after_commit=deps.lifecycle.after_commit,
        disk_space=deps.disk_space,
        recipients=deps.recipients,
        external_access=ExternalAccessPolicy.of(settings),
    )


def _request_delivery(settings: GatewaySettings, deps: Dependencies) -> RequestDelivery:
    return RequestDelivery(deps.database, deps.lifecycle.after_commit, settings.mail_cooldown_seconds, deps.recipients)


def blur_servicer(settings: GatewaySettings, deps: Dependencies, hub: WatchHub, share: ByteBudget) -> BlurServicer:
    """Return BlurService."""
    storage = _order_storage(settings, deps)
    receiver, models = (
        OrderReceiver(storage, deps.threads, deps.broker_check, deps.head_starts),
        AvailableModels(deps.database, deps.threads),
    )
    return BlurServicer(
        settings=settings,
        threads=deps.threads,
        parsing=deps.parsing,
        receiver=receiver,
        models=models,
        fetch_workers=FetchWorkers(database=deps.database, threads=deps.threads),
        list_sources=ListSources(
            places=Places.of(settings.sources), threads=deps.threads, max_image_bytes=settings.max_image_bytes
        ),
        uploads=Uploads.of(
            receiver, parsing=deps.parsing, models=models, lifecycle=deps.lifecycle, max_chunk_bytes=MAX_CHUNK_BYTES
        ),
        reader=deps.reader,
        hub=hub,
        request_delivery=_request_delivery(settings, deps),
        downloads=ResultDownloads(deps.database, deps.blobs, deps.tokens),
        lifecycle=deps.lifecycle,
        revise_images=ReviseImages(storage),
        webhook_secrets=CallerSecrets(
            database=deps.database, threads=deps.threads, secrets=WebhookSecrets(*settings.signing_keys)
        ),
        find_preview=FindPreview(deps.database, settings.max_message_bytes),
        call_instantly=SendInstantCall(
            queue=deps.instant_queue,
            exchanges=deps.exchanges,
            direct=deps.direct,
            threads=deps.threads,
            broker_check=deps.broker_check,
            paused=QueuePause(database=deps.database, threads=deps.threads),
            seconds=settings.instant_seconds,
            max_calls=settings.max_instant_calls,
            share=share,
        ),
    )


def subscription_servicer(settings: GatewaySettings, deps: Dependencies) -> SubscriptionServicer:
    """Return SubscriptionService."""
    return SubscriptionServicer(
        Subscriptions(
            deps.database,
            deps.lifecycle.after_commit,
            deps.tokens,
            settings.confirm_subscriptions,
            deps.recipients.hasher,
        ),
        deps.threads,
        deps.broker_check.limits,
        max_per_hour=settings.max_subscriptions_per_hour,
    )


def operator_servicer(settings: GatewaySettings, deps: Dependencies) -> OperatorServicer:
    """Return OperatorService."""
    return OperatorServicer(
        database=deps.database,
        threads=deps.threads,
        order_actions=OrderActions(
            database=deps.database,
            lifecycle=deps.lifecycle,
            request_delivery=_request_delivery(settings, deps),
            revise_images=ReviseImages(_order_storage(settings, deps)),
        ),
        models=AvailableModels(deps.database, deps.threads),
        queues=QueueOperations(deps.database, deps.broker, deps.lifecycle, deps.instant_queue),
        failures=FailureOperations(deps.database, deps.blobs, deps.lifecycle.after_commit),
        jobs=OperatorJobs(deps.database, deps.lifecycle.after_commit, deps.threads),
        personal_data=PersonalData(deps.database, deps.lifecycle, deps.recipients.hasher),
        after_commit=deps.lifecycle.after_commit,
        subscribers=SubscriberOperations(deps.database, deps.recipients.hasher),
        mail_reports=RecordMailReports(
            database=deps.database, after_commit=deps.lifecycle.after_commit, hasher=deps.recipients.hasher
        ),
    )
