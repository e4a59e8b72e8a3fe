"""Statements about events for webhooks: claim, finish, retry, send again, list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from services.common.db import pages
from services.common.db.clock import SECOND, now
from services.common.db.models import WEBHOOK_IS_FAILURE, Order, WebhookEvent, sql_literal
from services.common.db.orders import orders
from services.common.db.rows import changed_one
from services.common.db.webhooks import outgoing
from services.common.domain.orders import OrderState
from services.common.domain.webhooks import GIVE_UP_SECONDS, KEEP_SECONDS, WEBHOOK_RETRIES, WebhookState

LATE_SECONDS = 60
"""After so long a transaction that has ended an order has inserted the event, if it was of this version."""
# Written as in the partial indexes: SQLite takes these for nothing else.
_QUEUED = WebhookEvent.state == sql_literal(WebhookState.QUEUED)
_SENDING = WebhookEvent.state == sql_literal(WebhookState.SENDING)


@dataclass(frozen=True, kw_only=True)
class WebhookClaim:
    """The right of one mailer to post an event until its lease runs out."""

    event_id: UUID
    order_id: UUID
    principal: str
    url: str
    payload: str
    owner: UUID
    attempts: int
    """This one included."""

    @classmethod
    def of(cls, event: WebhookEvent, owner: UUID) -> Self:
        """Return the claim that a row holds."""
        return cls(
            event_id=event.id,
            order_id=event.order_id,
            principal=event.principal,
            url=event.url,
            payload=event.payload,
            owner=owner,
            attempts=event.attempts,
        )


def claim_event(session: Session, event_id: UUID, *, lease_seconds: float) -> WebhookClaim | None:
    """Claim an event that was enqueued; None if another mailer has it, it has ended, or waits for its next attempt."""
    event = session.scalar(
        update(WebhookEvent)
        .where(
            WebhookEvent.id == event_id,
            WebhookEvent.state == WebhookState.QUEUED,
            WebhookEvent.enqueued_at.is_not(None),
        )
        .values(
            state=WebhookState.SENDING,
            owner=uuid4(),
            lease_until=now() + int(lease_seconds * SECOND),
            attempts=WebhookEvent.attempts + 1,
            started_at=now(),
        )
        .returning(WebhookEvent)
    )
    return WebhookClaim.of(event, event.owner) if event and event.owner else None


def finish_delivered(session: Session, claim: WebhookClaim, *, message: str) -> bool:
    """Record that the receiver has taken the event; False if the claim was lost."""
    return _finish(session, claim, state=WebhookState.DELIVERED, message=message, finished_at=now())


def finish_failed(session: Session, claim: WebhookClaim, *, message: str) -> bool:
    """Record that the event is given up; False if the claim was lost."""
    return _finish(session, claim, state=WebhookState.FAILED, message=message, finished_at=now())


def retry_later(session: Session, claim: WebhookClaim, *, message: str, at_least: float = 0.0) -> bool:
    """Queue the event for another attempt, or give it up after a day; False if the claim was lost.

    `at_least`: seconds that the receiver asks to wait.
    """
    delay = int(max(at_least, WEBHOOK_RETRIES.delay(claim.attempts)) * SECOND)
    due = select(WebhookEvent.id).where(WebhookEvent.id == claim.event_id, WebhookEvent.give_up_at > now() + delay)
    if session.scalar(due) is None:
        return finish_failed(session, claim, message=message)
    return _finish(
        session, claim, state=WebhookState.QUEUED, not_before=now() + delay, enqueued_at=None, message=message
    )


def postpone(session: Session, claim: WebhookClaim, *, seconds: float) -> bool:
    """Queue an event that was not attempted: the claim counts as no attempt. False if the claim was lost."""
    not_before, attempts = now() + int(seconds * SECOND), WebhookEvent.attempts - 1
    return _finish(
        session, claim, state=WebhookState.QUEUED, not_before=not_before, enqueued_at=None, attempts=attempts
    )


def _finish(session: Session, claim: WebhookClaim, **values: Any) -> bool:
    # The order's revision grows: watchers see what became of its events.
    orders.lock(session, claim.order_id)
    result = session.execute(
        update(WebhookEvent)
        .where(
            WebhookEvent.id == claim.event_id,
            WebhookEvent.state == WebhookState.SENDING,
            WebhookEvent.owner == claim.owner,
        )
        .values(owner=None, lease_until=None, **values)
    )
    if changed_one(result):
        return True
    session.rollback()
    return False


def renew_leases(session: Session, owners: Sequence[UUID], *, lease_seconds: float) -> None:
    """Extend the leases that these owners still hold."""
    held = select(WebhookEvent.id).where(WebhookEvent.owner.in_(owners), _SENDING)
    session.execute(
        update(WebhookEvent)
        .where(WebhookEvent.id.in_(select(held.with_for_update(skip_locked=True).cte().c.id)))
        .values(lease_until=now() + int(lease_seconds * SECOND))
    )


def release_expired(session: Session, *, limit: int) -> int:
    """Queue events whose leases have run out: their mailers died, before or after the answer. Return how many."""
    expired = (
        select(WebhookEvent.id)
        .where(_SENDING, WebhookEvent.lease_until < now())
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte()
    )
    released = session.scalars(
        update(WebhookEvent)
        .where(WebhookEvent.id.in_(select(expired.c.id)))
        .values(
            state=WebhookState.QUEUED,
            owner=None,
            lease_until=None,
            not_before=now() + int(WEBHOOK_RETRIES.first_delay * SECOND),
            enqueued_at=None,
            message="the mailer did not finish",
        )
        .returning(WebhookEvent.id)
    )
    return len(released.all())


def enqueue_due(session: Session, *, limit: int) -> Sequence[UUID]:
    """Mark events as enqueued whose delay is over, and return them."""
    due = select(WebhookEvent.id).where(_QUEUED, WebhookEvent.enqueued_at.is_(None), WebhookEvent.not_before <= now())
    free = due.limit(limit).with_for_update(skip_locked=True).cte()
    return session.scalars(
        update(WebhookEvent)
        .where(WebhookEvent.id.in_(select(free.c.id)))
        .values(enqueued_at=now())
        .returning(WebhookEvent.id)
    ).all()


def insert_missing(session: Session, *, limit: int) -> list[UUID]:
    """Insert the events of orders that a worker of the version before has ended; return those to enqueue."""
    without = (
        select(Order.id)
        .where(
            Order.webhook_url.is_not(None),
            Order.finished_at < now() - LATE_SECONDS * SECOND,
            ~select(WebhookEvent.id).where(WebhookEvent.order_id == Order.id).exists(),
        )
        .limit(limit)
    )
    inserted = []
    for order_id in session.scalars(without).all():
        order = orders.lock(session, order_id)
        if order and not OrderState(order.state).open:
            counts = {"succeeded": order.succeeded, "failed": order.failed, "cancelled": order.cancelled}
            inserted += outgoing.insert_event(session, order, OrderState(order.state), counts, revised=False)
    return inserted


def delete_old(session: Session) -> None:
    """Delete events that ended a month ago, except for the last ones of orders that still have their webhook."""
    old = WebhookEvent.finished_at < now() - KEEP_SECONDS * SECOND
    kept = select(Order.id).where(Order.webhook_url.is_not(None))
    session.execute(delete(WebhookEvent).where(old, WebhookEvent.order_id.not_in(kept)))


def resend(session: Session, event_ids: Sequence[UUID]) -> list[UUID]:
    """Queue events again, with all their attempts, unless they are being posted; return those to enqueue."""
    free = (
        select(WebhookEvent.id)
        .where(WebhookEvent.id.in_(event_ids), WebhookEvent.state != WebhookState.SENDING)
        .with_for_update(skip_locked=True)
        .cte()
    )
    return list(
        session.scalars(
            update(WebhookEvent)
            .where(WebhookEvent.id.in_(select(free.c.id)))
            .values(
                state=WebhookState.QUEUED,
                attempts=0,
                not_before=0,
                enqueued_at=now(),
                finished_at=None,
                dismissed=False,
                give_up_at=now() + GIVE_UP_SECONDS * SECOND,
            )
            .returning(WebhookEvent.id)
        )
    )


def fail_queued(session: Session) -> int:
    """Give up all events that wait; return how many."""
    queued = select(WebhookEvent.id).where(_QUEUED)
    given_up = session.scalars(
        update(WebhookEvent)
        .where(WebhookEvent.id.in_(select(queued.with_for_update(skip_locked=True).cte().c.id)))
        .values(state=WebhookState.FAILED, finished_at=now(), message="an operator has purged the queue")
        .returning(WebhookEvent.id)
    )
    return len(given_up.all())


def dismiss_failed(session: Session, event_id: UUID) -> bool:
    """Dismiss the failure of an event; False if there was none."""
    dismissed = session.scalar(
        update(WebhookEvent)
        .where(WebhookEvent.id == event_id, WebhookEvent.state == WebhookState.FAILED, ~WebhookEvent.dismissed)
        .values(dismissed=True)
        .returning(WebhookEvent.id)
    )
    return dismissed is not None


def list_failed(session: Session, *, limit: int) -> tuple[Sequence[UUID], int]:
    """Return the first events that FAILED, without those that an operator has dismissed, and the number of all."""
    failed = WEBHOOK_IS_FAILURE
    total = session.scalar(select(func.count()).select_from(WebhookEvent).where(failed)) or 0
    return session.scalars(select(WebhookEvent.id).where(failed).limit(limit)).all(), total


def list_events(
    session: Session,
    *,
    order_id: UUID | None = None,
    state: WebhookState | None = None,
    before: tuple[int, UUID] | None = None,
    limit: int,
) -> Sequence[WebhookEvent]:
    """Return a page of events, the newest first; `before`: time and id of the last one of the page before."""
    query = select(WebhookEvent)
    if order_id:
        query = query.where(WebhookEvent.order_id == order_id)
    if state:
        query = query.where(WebhookEvent.state == state)
    paged = pages.page(query, WebhookEvent.created_at, WebhookEvent.id, after=before, limit=limit, descending=True)
    return session.scalars(paged).all()
