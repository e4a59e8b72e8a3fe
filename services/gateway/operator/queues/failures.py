"""Retries and dismisses failures."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.common.db.access import audit
from services.common.db.access.audit import AuditContext
from services.common.db.engine import Database
from services.common.db.operators import failures, retries
from services.common.db.operators.failures import FailureFilter, Kind
from services.common.db.operators.retries import NotRetryable
from services.common.db.webhooks import events
from services.common.domain.errors import Unavailable
from services.common.domain.follow_up import FollowUp
from services.common.domain.orders import original_key
from services.common.infra import log
from services.common.infra.blobs import BlobStore
from services.common.use_cases.after_commit import AfterCommit

BATCH = 1000
"""Failures processed by one call."""
MAX_SKIPPED = 100

_log = log.get(__name__)


@dataclass(frozen=True)
class FailureOutcome:
    """The result of a retry or dismiss."""

    count: int
    """Failures retried or dismissed."""
    skipped: Sequence[tuple[UUID, str]]
    """Failures that cannot be retried, with the reason."""
    remaining: int
    """Failures that match the filter and are left for another call."""
    matched: int = 0
    """Failures that were selected."""


@dataclass(frozen=True)
class FailureOperations:
    """The use cases of failures; blocking."""

    database: Database
    blobs: BlobStore
    after_commit: AfterCommit

    def retry(self, audit_context: AuditContext, ids: Sequence[UUID] | None, filter_: FailureFilter) -> FailureOutcome:
        """Retry failures by ID, or all that match the filter if `ids` is None."""
        selected, remaining = self._select(ids, filter_, retryable=True)
        skipped: list[tuple[UUID, str]] = []
        order_ids: set[UUID] = set()
        count = 0
        for failure_id, kind in selected:
            try:
                follow_up = self._retry_one(audit_context, failure_id, kind)
            except NotRetryable as error:
                skipped.append((failure_id, str(error)))
                continue
            count += 1
            self.after_commit(follow_up)
            order_ids.update(follow_up.changed_order_ids)
        for order_id in order_ids:
            self.after_commit.refill_order(order_id)
        return FailureOutcome(count, skipped[:MAX_SKIPPED], remaining, len(selected) + remaining)

    def dismiss(
        self, audit_context: AuditContext, ids: Sequence[UUID] | None, filter_: FailureFilter
    ) -> FailureOutcome:
        """Dismiss failures by ID, or all that match the filter if `ids` is None; delete the originals kept for them."""
        selected, remaining = self._select(ids, filter_, retryable=False)
        originals = []
        count = 0
        for failure_id, kind in selected:
            with self.database.write() as session:
                if kind == "IMAGE":
                    image = retries.dismiss_image(session, failure_id)
                    dismissed = image is not None
                    if image:
                        originals.append(original_key(*image))
                elif kind == "WEBHOOK":
                    dismissed = events.dismiss_failed(session, failure_id)
                else:
                    dismissed = retries.dismiss_email(session, failure_id)
                if dismissed:
                    count += 1
                    audit.record(session, audit_context, _subject(kind, failure_id))
        try:
            self.blobs.delete(*originals)
        except Unavailable as error:
            _log.warning("originals not removed, the sweep will remove them", error=str(error))
        return FailureOutcome(count, (), remaining, len(selected) + remaining)

    def count(self, ids: Sequence[UUID] | None, filter_: FailureFilter, *, retryable: bool) -> int:
        """Return how many failures are selected, only those that can be retried if they are to be."""
        with self.database.read() as session:
            return failures.count(session, filter_, ids=ids, retryable=retryable)

    def _select(
        self, ids: Sequence[UUID] | None, filter_: FailureFilter, *, retryable: bool
    ) -> tuple[Sequence[tuple[UUID, Kind | None]], int]:
        """Return IDs and kinds of failures, and how many match the filter beyond them."""
        with self.database.read() as session:
            if ids is not None:
                kinds = failures.get_kinds(session, ids)
                return [(failure_id, kinds.get(failure_id)) for failure_id in dict.fromkeys(ids)], 0
            found, total = failures.list_ids(session, filter_, retryable=retryable, limit=BATCH)
            return [(failure_id, kind) for kind, failure_id in found], total - len(found)

    def _retry_one(self, audit_context: AuditContext, failure_id: UUID, kind: Kind | None) -> FollowUp:
        if kind is None:
            raise NotRetryable("the failure does not exist")
        with self.database.write() as session:
            if kind == "EMAIL":
                retries.retry_email(session, failure_id)
                follow_up = FollowUp(email_ids=[failure_id])
            elif kind == "WEBHOOK":
                retries.retry_event(session, failure_id)
                follow_up = FollowUp(webhook_event_ids=[failure_id])
            else:
                retried = retries.retry_image(session, failure_id)
                follow_up = FollowUp(changed_order_ids=[retried.order_id])
                # Former versions did not keep originals of failed images.
                if not self.blobs.exists(original_key(retried.order_id, retried.position)):
                    raise NotRetryable("the original was removed")
            audit.record(session, audit_context, _subject(kind, failure_id))
        return follow_up


def _subject(kind: Kind | None, failure_id: UUID) -> str:
    collections: dict[Kind | None, str] = {"IMAGE": "images", "WEBHOOK": "webhookEvents"}
    return f"{collections.get(kind, 'emails')}/{failure_id}"
