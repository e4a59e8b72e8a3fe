"""What operators do with failures: have them tried again, or drop them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.orders import orders, windows
from services.common.db.queues import failures, retries
from services.common.db.queues.failures import FailureFilter, Kind
from services.common.db.queues.retries import NotRetriable
from services.common.domain.errors import Unavailable
from services.common.domain.follow_up import FollowUp
from services.common.domain.orders import source_key
from services.common.infra import log
from services.common.infra.blobs import BlobStore
from services.common.infra.broker import Broker
from services.common.use_cases.after_commit import AfterCommit

BATCH = 1000
"""Failures taken up by one call."""
MOST_SKIPPED = 100

_log = log.get(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of failures that were meant."""

    done: int
    skipped: Sequence[tuple[UUID, str]]
    remaining: int
    """Of all: those that are left for another call."""


@dataclass(frozen=True)
class OperatorFailures:
    """The use cases, over what they need."""

    database: Database
    broker: Broker
    blobs: BlobStore
    window: int
    """Images in the queue or at work at a time, shared by the orders."""

    def retry(self, audit_context: AuditContext, ids: Sequence[UUID] | None, which: FailureFilter) -> Outcome:
        """Have failures tried again: these, or all that the filter lets through."""
        meant, left = self._meant(ids, which, retriable=True)
        skipped: list[tuple[UUID, str]] = []
        order_ids: set[UUID] = set()
        done = 0
        for failure_id, kind in meant:
            try:
                follow_up = self._retry_one(audit_context, failure_id, kind)
            except NotRetriable as error:
                skipped.append((failure_id, str(error)))
                continue
            done += 1
            self._after_commit(follow_up)
            order_ids.update(follow_up.changed_order_ids)
        for order_id in order_ids:
            self._refill(order_id)
        return Outcome(done, skipped[:MOST_SKIPPED], left)

    def drop(self, audit_context: AuditContext, ids: Sequence[UUID] | None, which: FailureFilter) -> Outcome:
        """Strike failures off the list, and remove the originals that were kept for them."""
        meant, left = self._meant(ids, which, retriable=False)
        originals = []
        done = 0
        for failure_id, kind in meant:
            with self.database.write() as session:
                if kind == "IMAGE":
                    image = retries.drop_image(session, failure_id)
                    dropped = image is not None
                    if image:
                        originals.append(source_key(*image))
                else:
                    dropped = retries.drop_email(session, failure_id)
                if dropped:
                    done += 1
                    audit.record(session, audit_context, _subject(kind, failure_id))
        try:
            self.blobs.delete(*originals)
        except Unavailable as error:
            _log.warning("originals not removed, the sweep will", error=str(error))
        return Outcome(done, (), left)

    def _meant(
        self, ids: Sequence[UUID] | None, which: FailureFilter, *, retriable: bool
    ) -> tuple[Sequence[tuple[UUID, Kind | None]], int]:
        """The failures, each with what it is, and how many of all are left."""
        with self.database.read() as session:
            if ids is not None:
                kinds = failures.get_kinds(session, ids)
                return [(failure_id, kinds.get(failure_id)) for failure_id in dict.fromkeys(ids)], 0
            found, total = failures.list_ids(session, which, retriable=retriable, limit=BATCH)
            return [(failure_id, kind) for kind, failure_id in found], total - len(found)

    def _retry_one(self, audit_context: AuditContext, failure_id: UUID, kind: Kind | None) -> FollowUp:
        if kind is None:
            raise NotRetriable("there is no such failure")
        with self.database.write() as session:
            if kind == "EMAIL":
                retries.retry_email(session, failure_id)
                follow_up = FollowUp(email_ids=[failure_id])
            else:
                retried = retries.retry_image(session, failure_id)
                follow_up = FollowUp(changed_order_ids=[retried.order_id])
                # Of what failed before originals were kept there is none.
                if not self.blobs.exists(source_key(retried.order_id, retried.position)):
                    raise NotRetriable("the original is gone")
            audit.record(session, audit_context, _subject(kind, failure_id))
        return follow_up

    def _refill(self, order_id: UUID) -> None:
        with self.database.write() as session:
            queued = windows.refill(session, order_id, self.window) if orders.lock(session, order_id) else []
        self._after_commit(FollowUp(image_ids=queued, changed_order_ids=[order_id]))

    def _after_commit(self, follow_up: FollowUp) -> None:
        AfterCommit(database=self.database, broker=self.broker, window=self.window)(follow_up)


def _subject(kind: Kind | None, failure_id: UUID) -> str:
    return f"{'images' if kind == 'IMAGE' else 'emails'}/{failure_id}"
