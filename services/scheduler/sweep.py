"""The sweep: enqueues lost messages again, releases expired claims, ends mailings, removes blobs that no order owns."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.mail import emails, mailings
from services.common.db.models import Email, Image, WebhookEvent
from services.common.db.operators import operator_jobs
from services.common.db.orders import (
    blob_cleanup,
    expiry,
    idempotency,
    image_outcomes,
    revisions,
    unowned_blobs,
    uploads,
)
from services.common.db.queues import future_times, outbox
from services.common.db.statistics import activity_summaries
from services.common.db.webhooks import events as webhook_events
from services.common.domain.errors import FailedPrecondition, NotFound, Unavailable
from services.common.domain.follow_up import EnqueuedImage, FollowUp
from services.common.domain.orders import LATE_SECONDS, ImageQueue, UploadState
from services.common.infra import log
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import MAIL_QUEUE, MAILING_QUEUE, WEBHOOK_QUEUE
from services.common.use_cases.order_lifecycle import OrderLifecycle, make_lifecycle
from services.scheduler import metrics
from services.scheduler.expired_leases import ExpiredLeases

BATCH = 1000
"""Rows handled by one run; the next run handles the next ones."""
MOST_UNCLAIMED = 20_000
"""Rows that one run compares with the broker's messages, the oldest first."""
RESEND_SECONDS = 5
"""How long a message may wait unclaimed before the sweep asks the broker whether it still has it."""
MAX_EXPIRY_RUN_SECONDS = 290
"""How long one run may expire orders; the next one, after `EXPIRY_INTERVAL_SECONDS` (in `jobs`), goes on."""
BATCH_ORDERS = 100
"""Orders expired, or cleaned up, by one transaction: others wait for it, some ten milliseconds."""
PAUSE_FACTOR = 2
"""How many times as long as a transaction took the next one waits, so that others get their turn."""
SUMMARISE_SECONDS = 20
"""How long one run may summarise: the first one has days to summarise."""
SILENT_UPLOAD_SECONDS = 60
"""How long an upload may be without a heartbeat before its blobs are removed."""

_log = log.get(__name__)


@dataclass(frozen=True)
class Sweep:
    """The sweep, over what it needs."""

    database: Database
    blobs: BlobStore
    broker: Broker
    window: int
    """Images queued or running at a time, shared by the orders."""
    mailing_connections: int = 1
    """Messages of a mailing at a time while it has e-mails to send."""
    expired_leases: ExpiredLeases = field(default_factory=ExpiredLeases)
    """Expired leases of e-mails, and since when each has been seen expired."""
    removing_blobs: threading.Lock = field(default_factory=threading.Lock)
    """Held while blobs without order are removed: two jobs do that."""

    @property
    def lifecycle(self) -> OrderLifecycle:
        """How orders expire, and what follows commits."""
        return make_lifecycle(self.database, self.blobs, self.broker, window=self.window)

    def images(self) -> None:
        """Release images with expired leases, refill windows, and enqueue images whose message is lost."""
        with self.database.read() as session:
            expired = outbox.list_expired_image_claims(session, limit=BATCH)
        for claim in expired:
            with self.database.write() as session:
                ended = image_outcomes.release_expired(session, claim, window=self.window)
            if ended is None:
                continue
            metrics.swept("images released")
            _log.warning("image released: its worker did not finish", image=str(claim.image_id))
            self.lifecycle.after_commit(ended.follow_up)
            if ended.image_state:
                with contextlib.suppress(Unavailable):  # `blobs_of_ended_images` removes them later
                    self.blobs.delete(*ended.surplus_keys)
        self.lifecycle.after_commit.refill()
        for queue in ImageQueue:
            self._enqueue_lost(Image, queue, partial(_enqueue_images, queue), queue)

    def emails(self) -> None:
        """Release e-mails with expired leases, and enqueue those that are due or whose message is lost."""
        with self.database.read() as session:
            expired = outbox.list_expired_email_claims(session, limit=BATCH)
        released = 0
        # Not at once: if the clock has jumped, their mailers still send them. An image is only blurred twice then.
        for claim in self.expired_leases.given_up(expired):
            with self.database.write() as session:
                released += emails.release_expired(session, claim)
        if released:
            metrics.swept("e-mails released", released)
            _log.warning("e-mails released: their mailer did not finish", count=released)
        with self.database.write() as session:
            due = outbox.enqueue_due_emails(session, limit=BATCH)
        self.lifecycle.after_commit(FollowUp(email_ids=due))
        self._enqueue_lost(Email, MAIL_QUEUE, lambda ids: FollowUp(email_ids=ids))

    def webhooks(self) -> None:
        """Release events with expired leases, and enqueue those that are due, missing, or whose message is lost."""
        with self.database.write() as session:
            released = webhook_events.release_expired(session, limit=BATCH)
        if released:
            metrics.swept("webhook events released", released)
            _log.warning("events released: their mailer did not finish", count=released)
        with self.database.write() as session:
            due = [
                *webhook_events.enqueue_due(session, limit=BATCH),
                *webhook_events.insert_missing(session, limit=BATCH),
            ]
        self.lifecycle.after_commit(FollowUp(webhook_event_ids=due))
        self._enqueue_lost(WebhookEvent, WEBHOOK_QUEUE, lambda ids: FollowUp(webhook_event_ids=ids))

    def mailings(self) -> None:
        """End mailings that are sent; enqueue messages of those with e-mails to send, one for each connection."""
        with self.database.write() as session:
            mailings.finish_mailings(session)
        with self.database.read() as session:
            with_work = mailings.list_sendable(session)
        if not with_work:
            return
        enqueued = self.broker.subjects(MAILING_QUEUE)
        missing = [
            mailing_id
            for mailing_id in with_work
            for _ in range(self.mailing_connections - enqueued.count(str(mailing_id)))
        ]
        self.lifecycle.after_commit(FollowUp(mailing_ids=missing))

    def times(self) -> None:
        """Correct times of pending work if the database's clock was set back."""
        with self.database.write(durable=False) as session:
            corrected = future_times.correct(session)
        if corrected:
            metrics.swept("times corrected", corrected)
            _log.warning("times corrected: the database's clock was set back", count=corrected)

    def blobs_without_order(self) -> None:
        """Remove blobs of uploads that broke off, and of orders that are gone."""
        if not self.removing_blobs.acquire(blocking=False):
            return  # the job of expiry does it
        try:
            with self.database.write() as session:
                removable = unowned_blobs.list_removable(session, silent_seconds=SILENT_UPLOAD_SECONDS, limit=BATCH)
            metrics.swept("uploads and orders removed", len(removable))
            for few in _throttled_batches(removable):
                self.lifecycle.remove_unowned_blobs(*few)
        finally:
            self.removing_blobs.release()

    def blobs_of_ended_images(self) -> None:
        """Remove blobs of ended images that a worker would have removed if it had not been killed."""
        with self.database.read() as session:
            surplus = blob_cleanup.list_not_cleaned_up(session, older_than=LATE_SECONDS, limit=BATCH)
        if not surplus:
            return
        self.blobs.delete(*(key for image in surplus for key in image.keys))
        with self.database.write(durable=False) as session:
            blob_cleanup.mark_cleaned_up(session, [image.image_id for image in surplus])

    def originals(self) -> None:
        """Remove originals that orders have kept for revisions until now."""
        with self.database.read() as session:
            due = revisions.list_originals_due(session, limit=BATCH)
        self._record("DeleteOriginals", due)
        for order_id in due:
            # Deleted, or revised again, at this moment.
            with contextlib.suppress(NotFound, FailedPrecondition):
                self.lifecycle.delete_originals(order_id)
                metrics.swept("orders without originals")

    def uploads(self) -> None:
        """Delete unfinished uploads to which nothing was appended for too long, and what others have left."""
        with self.database.read() as session:
            expired = uploads.list_expired(session, limit=BATCH)
        for upload_id, state in expired:
            self.lifecycle.end_upload(upload_id, state)
            if state is UploadState.RECEIVING:
                metrics.swept("uploads expired")

    def expired(self) -> None:
        """Expire orders whose retention is over; delete idempotency keys and operator jobs that are too old."""
        with self.database.write() as session:
            idempotency.delete_expired(session)
            operator_jobs.delete_abandoned(session)
            webhook_events.delete_old(session)
        expired, until = True, time.monotonic() + MAX_EXPIRY_RUN_SECONDS
        while expired and time.monotonic() < until:
            with self.database.read() as session:
                due = expiry.list_due_to_expire(session, limit=BATCH)
            self._record("ExpireOrders", due)
            count = sum(map(self.lifecycle.expire, _throttled_batches(due)))
            metrics.swept("orders expired", count)
            self.blobs_without_order()
            expired = count > 0

    def _record(self, action: str, order_ids: Sequence[UUID]) -> None:
        """Record in the audit log what is done to orders: first, because it is many transactions."""
        if order_ids:
            with self.database.write(durable=False) as session:
                audit.record(session, AuditContext(audit.SCHEDULER, action), "orders", orders=len(order_ids))

    def summarise_activity(self) -> None:
        """Summarise what happened since the last run, for statistics."""
        more, until = True, time.monotonic() + SUMMARISE_SECONDS
        while more and time.monotonic() < until:
            with self.database.read() as session:
                counted = activity_summaries.count_next(session)
            with self.database.write(durable=False) as session:
                activity_summaries.add(session, counted)
            more = counted.more

    def _enqueue_lost(
        self,
        model: outbox.Enqueueable,
        queue: str,
        enqueue: Callable[[Sequence[UUID]], FollowUp],
        image_queue: ImageQueue | None = None,
    ) -> None:
        with self.database.read() as session:
            waiting = outbox.list_unclaimed(
                session, model, older_than=RESEND_SECONDS, limit=MOST_UNCLAIMED, queue=image_queue
            )
        if not waiting:
            return
        # Messages that only wait are not repeated, only those that the broker does not have.
        enqueued = set(self.broker.subjects(queue))
        lost = [row_id for row_id in waiting if str(row_id) not in enqueued][:BATCH]
        if not lost:
            return
        with self.database.write() as session:
            ids = outbox.enqueue_again(session, model, lost)
        _log.warning("enqueued again: the broker had lost the messages", what=model.__tablename__, count=len(ids))
        metrics.swept(f"{model.__tablename__} enqueued again", len(ids))
        self.lifecycle.after_commit(enqueue(ids))


def _enqueue_images(queue: ImageQueue, ids: Sequence[UUID]) -> FollowUp:
    return FollowUp(images=[EnqueuedImage(image_id, queue) for image_id in ids])


def _throttled_batches(order_ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    """Yield orders for one transaction after the other, with pauses `PAUSE_FACTOR` times as long as that took.

    SQLite has one writer at a time, and no queue of those who wait: without pauses the others would not get their turn.
    """
    for first in range(0, len(order_ids), BATCH_ORDERS):
        begin = time.monotonic()
        yield order_ids[first : first + BATCH_ORDERS]
        if first + BATCH_ORDERS < len(order_ids):
            time.sleep(PAUSE_FACTOR * (time.monotonic() - begin))
