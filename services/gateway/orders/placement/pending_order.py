"""An order before its commit: its row is created before its first blob, and leads to all of them until the commit."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from services.common.db.engine import Database
from services.common.db.orders import idempotency, new_orders, snapshots, unowned_blobs
from services.common.db.orders.new_orders import NewImage, NewOrder, StoredOrder
from services.common.db.orders.snapshots import Snapshot
from services.common.db.queues import backlog
from services.common.domain.errors import ResourceExhausted, Unavailable
from services.common.domain.follow_up import FollowUp
from services.common.domain.orders import blob_prefix, original_key
from services.common.infra import log
from services.common.infra.blobs import BlobStore, MissingBlob
from services.common.infra.disk_space import DiskSpace
from services.common.use_cases.after_commit import AfterCommit
from services.common.use_cases.recipients import Recipients
from services.gateway import metrics
from services.gateway.orders.messages.requests import ParsedHeader
from services.gateway.orders.placement.external_access import ExternalAccessPolicy
from services.gateway.settings import GatewaySettings

QUEUE_RETRY_SECONDS = 30.0
"""RetryInfo when the queue is full: it does not empty quickly."""

_log = log.get(__name__)


@dataclass(frozen=True, kw_only=True)
class OrderStorage:
    """Where orders are stored."""

    settings: GatewaySettings
    database: Database
    blobs: BlobStore
    after_commit: AfterCommit
    disk_space: DiskSpace
    recipients: Recipients
    external_access: ExternalAccessPolicy

    def new_order(self, header: ParsedHeader, *, order_id: UUID, principal: str, upload_seconds: float) -> NewOrder:
        """Return the order of a header, to be stored."""
        return NewOrder(
            id=order_id,
            principal=principal,
            email=header.email,
            mailbox=self.recipients.hasher.hash(header.email) if header.email else None,
            locale=header.locale,
            spec=header.spec.to_json(),
            notify=header.notify,
            retention=int(self.settings.retention_days * 86_400),
            upload_seconds=upload_seconds,
            originals_seconds=header.originals_seconds,
            webhook_url=header.webhook_url or None,
        )

    def insert(self, session: Session, order: NewOrder, images: Sequence[NewImage]) -> StoredOrder:
        """Store an order whose originals are there, at the end of a transaction; `accepted` follows its commit.

        Raises:
            ResourceExhausted: The queue is full.
        """
        stored = new_orders.insert_order(session, order, images, window=self.settings.order_window)
        # Last, because it serializes transactions that add to the backlog.
        backlog.lock_backlog(session)
        check_queue(session, self.settings, 0)
        return stored

    def enqueue_first(self, stored: StoredOrder, images: Sequence[NewImage]) -> Snapshot:
        """Enqueue the first images of an order that was committed; return it."""
        self.after_commit(FollowUp(images=stored.enqueued))
        metrics.order_accepted(len(images), sum(image.size for image in images))
        return stored.snapshot


@dataclass(kw_only=True)
class PendingOrder:
    """One order that is being received. Its methods block; the flags are shared with the event loop."""

    storage: OrderStorage
    principal: str
    method: str
    header: ParsedHeader
    image_count: int
    order_id: UUID = field(default_factory=uuid4)
    started: float = field(default_factory=time.monotonic)
    has_row: bool = False
    """Set by `begin`."""
    recipient_is_unconfirmed: bool = False
    """Set by `begin`: an e-mail is wanted to an address that has not confirmed."""
    committing: bool = False
    """Set by the event loop before `commit`: from then on an order may own the blobs."""
    abandoned: bool = False
    """Set by the event loop: a `begin` that is still running must not create a row."""

    def begin(self) -> None:
        """Check that the order can be accepted, and create its row unless it is only to be validated.

        Raises:
            Unavailable: A dependency is unavailable, or a disk is almost full.
            ResourceExhausted: The queue is full.
        """
        storage, request_id = self.storage, self.header.request_id
        storage.blobs.ping()
        storage.disk_space.check()
        with storage.database.read() if self.header.validate_only else storage.database.write() as session:
            # A repeat of an accepted order adds nothing to the queue.
            if not (request_id and idempotency.was_answered(session, self.principal, self.method, request_id)):
                check_queue(session, storage.settings, self.image_count)
            if self.header.validate_only:
                return
            if self.header.notify and self.header.email:
                self.recipient_is_unconfirmed = not storage.recipients.may_get_results(
                    session, address=self.header.email, principal=self.principal
                )
            if self.abandoned:
                raise Unavailable("the database responded too late")
            unowned_blobs.insert_upload(session, self.order_id)
            self.has_row = True

    def heartbeat(self) -> None:
        """Keep the row alive: the sweep removes the blobs of uploads without a recent heartbeat."""
        with self.storage.database.write(durable=False) as session:
            unowned_blobs.renew_upload(session, self.order_id)

    def commit(self, images: Sequence[NewImage], fingerprint: str) -> Snapshot:
        """Store the order, whose originals are written, and enqueue its first images.

        Args:
            images: The received images.
            fingerprint: Hash of the request, to compare repeated requests.

        Returns:
            The order; the first one if this request is a repeat.

        Raises:
            ResourceExhausted: The queue is full.
            InvalidArgument: The request ID was used for a different order.
            Unavailable: A dependency is unavailable, or the upload was given up by the sweep.
        """
        storage, header = self.storage, self.header
        with missing_blob_as_unavailable():
            sent = [image for image in images if image.source is None]
            storage.blobs.persist(*(original_key(self.order_id, image.position) for image in sent))
        order = storage.new_order(
            header, order_id=self.order_id, principal=self.principal, upload_seconds=time.monotonic() - self.started
        )
        with storage.database.write() as session:
            if header.request_id:
                request = idempotency.IdempotentRequest(
                    principal=self.principal, method=self.method, request_id=header.request_id, fingerprint=fingerprint
                )
                if earlier := idempotency.insert_answer(session, request, self.order_id):
                    unowned_blobs.mark_upload_failed(session, self.order_id)
                    return snapshots.get_snapshot(session, earlier)
            if not unowned_blobs.adopt_blobs(session, self.order_id):
                raise Unavailable("the upload took too long")
            stored = storage.insert(session, order, images)
        return storage.enqueue_first(stored, images)

    def remove(self) -> None:
        """Remove the blobs and the row unless the order was committed. The sweep removes what cannot be removed now."""
        storage, prefix = self.storage, blob_prefix(self.order_id)
        try:
            if not self.committing:
                # No order can own them yet. First, because on a full disk the database needs their space.
                storage.blobs.delete_prefix(prefix)
            with storage.database.write() as session:
                abandoned = unowned_blobs.mark_upload_failed(session, self.order_id)
            # A call may be cancelled or fail after its commit: then the blobs belong to the order and stay.
            if abandoned:
                storage.blobs.delete_prefix(prefix)
                with storage.database.write() as session:
                    unowned_blobs.delete_upload(session, self.order_id)
        except Unavailable as error:
            _log.warning("upload not removed, the sweep will remove it", error=str(error))


def check_queue(session: Session, settings: GatewaySettings, new_images: int) -> None:
    """Raise ResourceExhausted if so many new images, besides those that are stored, do not fit into the queue."""
    limit, queued = settings.max_queued_images, backlog.count_open_images(session)
    if queued + new_images > limit:
        message = (
            f"the queue is full: it holds {limit:,} images; with this order there would be {queued + new_images:,}"
        )
        raise ResourceExhausted("QUEUE_FULL", "queued images", message, retry_seconds=QUEUE_RETRY_SECONDS)


@contextmanager
def missing_blob_as_unavailable() -> Iterator[None]:
    """Map a missing blob of an upload to Unavailable: the sweep, or a person, has removed it."""
    try:
        yield
    except MissingBlob:
        raise Unavailable("the upload was removed before it was complete") from None
