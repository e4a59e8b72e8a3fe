"""Statements about e-mails: claim, confirm, finish, retry."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, Self
from uuid import UUID, uuid4

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.mail import deliveries
from services.common.db.models import Delivery, Email, Subscriber
from services.common.db.orders import orders
from services.common.db.rows import changed_one
from services.common.domain.errors import Reason
from services.common.domain.mail import EmailKind, EmailState, SubscriberState
from services.common.domain.retries import MAX_EMAIL_ATTEMPTS


@dataclass(frozen=True, kw_only=True)
class EmailClaim:
    """The right of one mailer to send an e-mail until its lease runs out."""

    email_id: UUID
    kind: EmailKind
    part: int
    order_id: UUID | None
    delivery_id: UUID | None
    mailing_id: UUID | None
    subscriber_id: UUID | None
    owner: UUID
    attempts: int
    """This one included."""

    @classmethod
    def of(cls, email: Email, owner: UUID, order_id: UUID | None) -> Self:
        """Return the claim that a row holds."""
        return cls(
            email_id=email.id,
            kind=EmailKind(email.kind),
            part=email.part,
            order_id=order_id,
            delivery_id=email.delivery_id,
            mailing_id=email.mailing_id,
            subscriber_id=email.subscriber_id,
            owner=owner,
            attempts=email.attempts,
        )


class SendDecision(Enum):
    """Whether a claimed e-mail is to be sent."""

    SEND = "send"
    LATER = "the mailing is paused"
    NOT_WANTED = "the subscriber has unsubscribed, or the mailing was cancelled"
    LOST = "the claim was lost"


def claim_email(session: Session, email_id: UUID, *, lease_seconds: float) -> EmailClaim | None:
    """Claim an e-mail that was enqueued; None if it is claimed by another mailer, has ended or is gone.

    None too if it waits for its next attempt: then the message is a repeated one, and another will follow in time.
    """
    order_id = _order_of(session, email_id)
    if order_id:
        orders.lock(session, order_id)
    email = session.scalar(
        update(Email)
        .where(Email.id == email_id, Email.state == EmailState.QUEUED, Email.enqueued_at.is_not(None))
        .values(
            state=EmailState.SENDING,
            owner=uuid4(),
            lease_until=now() + int(lease_seconds * SECOND),
            attempts=Email.attempts + 1,
            started_at=now(),
        )
        .returning(Email)
    )
    if email is None:
        session.rollback()
        return None
    assert email.owner
    if email.delivery_id:
        deliveries.mark_sending(session, email.delivery_id)
    return EmailClaim.of(email, email.owner, order_id)


def renew_leases(session: Session, owners: Sequence[UUID], *, lease_seconds: float) -> None:
    """Extend the leases that these owners still hold; none gets shorter."""
    lease_until = now() + int(lease_seconds * SECOND)
    # Over many orders, none of which is locked (see `outbox`): an e-mail that is locked is about to end its claim.
    held = select(Email.id).where(
        Email.owner.in_(owners), Email.state == EmailState.SENDING, Email.lease_until < lease_until
    )
    session.execute(
        update(Email)
        .where(Email.id.in_(select(held.with_for_update(skip_locked=True).cte().c.id)))
        .values(lease_until=lease_until)
    )


def confirm_claim(session: Session, claim: EmailClaim, *, lease_seconds: float) -> SendDecision:
    """Extend a lease to so long from now, unless the claim was lost."""
    held = _update_held(session, claim, lease_until=now() + int(lease_seconds * SECOND))
    return SendDecision.SEND if held else SendDecision.LOST


def insert_missing_parts(session: Session, claim: EmailClaim, parts: int) -> list[UUID]:
    """Insert the e-mails that a delivery in so many parts still lacks; return their ids, to enqueue after the commit.

    Nothing is inserted if the claim was lost.
    """
    assert claim.order_id
    assert claim.delivery_id
    # With the order locked, no other transaction cancels the delivery or inserts parts.
    orders.lock(session, claim.order_id)
    held = select(Email.id).where(
        Email.id == claim.email_id, Email.state == EmailState.SENDING, Email.owner == claim.owner
    )
    if session.scalar(held) is None:
        session.rollback()
        return []
    existing = set(session.scalars(select(Email.part).where(Email.delivery_id == claim.delivery_id)))
    missing = [part for part in range(1, parts + 1) if part not in existing]
    return [deliveries.insert_email(session, claim.delivery_id, part) for part in missing]


def finish_sent(session: Session, claim: EmailClaim, *, smtp_reply: str) -> bool:
    """Record that the mail server accepted the e-mail; False if the claim was lost."""
    return _finish(
        session, claim, state=EmailState.SENT, smtp_reply=smtp_reply, sent_at=now(), delivery_message=smtp_reply
    )


def finish_failed(session: Session, claim: EmailClaim, *, reason: Reason, message: str) -> bool:
    """Record that the e-mail will never be sent; False if the claim was lost."""
    return _finish(
        session, claim, state=EmailState.FAILED, smtp_reply=message, failure_reason=reason, delivery_message=message
    )


def finish_cancelled(session: Session, claim: EmailClaim) -> bool:
    """Record that the e-mail is not wanted any more; False if the claim was lost."""
    return _finish(session, claim, state=EmailState.CANCELLED)


def retry_later(session: Session, claim: EmailClaim, *, delay: float, message: str) -> bool:
    """Queue the e-mail for another attempt in `delay` seconds; False if the claim was lost."""
    not_before = now() + int(delay * SECOND)
    return _finish(
        session,
        claim,
        state=EmailState.QUEUED,
        not_before=not_before,
        enqueued_at=None,
        smtp_reply=message,
        delivery_message=message,
    )


def postpone(session: Session, claim: EmailClaim, *, delay: float, message: str) -> bool:
    """Queue an e-mail that was not attempted: the claim counts as no attempt. False if the claim was lost."""
    not_before = now() + int(delay * SECOND)
    attempts = Email.attempts - 1
    return _finish(
        session,
        claim,
        state=EmailState.QUEUED,
        not_before=not_before,
        enqueued_at=None,
        attempts=attempts,
        delivery_message=message,
    )


def release_expired(session: Session, claim: EmailClaim) -> bool:
    """Queue an e-mail whose lease has run out, or fail it after too many attempts.

    Returns:
        False if its owner has renewed the lease or has finished meanwhile.
    """
    if claim.order_id:
        orders.lock(session, claim.order_id)
    expired = select(Email.id).where(Email.id == claim.email_id, Email.owner == claim.owner, Email.lease_until < now())
    if session.scalar(expired.with_for_update()) is None:
        session.rollback()
        return False
    if claim.attempts >= MAX_EMAIL_ATTEMPTS:
        message = f"no mailer finished the e-mail in {MAX_EMAIL_ATTEMPTS} attempts"
        return finish_failed(session, claim, reason=Reason.INTERNAL, message=message)
    return retry_later(session, claim, delay=0, message="the mailer did not finish")


def insert_subscriber_email(
    session: Session, subscriber_id: UUID, kind: Literal[EmailKind.CONFIRM, EmailKind.GOODBYE]
) -> UUID:
    """Insert a confirmation or goodbye e-mail; return its id, to enqueue after the commit."""
    email_id = uuid4()
    values = {"id": email_id, "kind": kind, "subscriber_id": subscriber_id, "state": EmailState.QUEUED}
    session.execute(insert(Email).values(**values, enqueued_at=now()))
    return email_id


def cancel_queued_of_subscribers(session: Session) -> int:
    """Cancel queued confirmation and goodbye e-mails; return how many."""
    queued = (Email.state == EmailState.QUEUED, Email.delivery_id.is_(None), Email.mailing_id.is_(None))
    subscriber_ids = session.scalars(
        update(Email).where(*queued).values(state=EmailState.CANCELLED).returning(Email.subscriber_id)
    ).all()
    # They may request another confirmation at once.
    session.execute(
        update(Subscriber)
        .where(Subscriber.id.in_(subscriber_ids), Subscriber.state == SubscriberState.PENDING)
        .values(confirm_sent_at=None)
    )
    return len(subscriber_ids)


def _finish(
    session: Session,
    claim: EmailClaim,
    *,
    failure_reason: Reason | None = None,
    delivery_message: str | None = None,
    **values: Any,
) -> bool:
    """End the claim, set the row's values, and update its delivery; False if the claim was lost."""
    if claim.order_id:
        orders.lock(session, claim.order_id)
    if not _update_held(session, claim, owner=None, lease_until=None, **values):
        session.rollback()
        return False
    if claim.delivery_id:
        if delivery_message:
            deliveries.set_message(session, claim.delivery_id, delivery_message, failure_reason=failure_reason)
        deliveries.finish_if_complete(session, claim.delivery_id)
    return True


def _update_held(session: Session, claim: EmailClaim, **values: Any) -> bool:
    result = session.execute(
        update(Email)
        .where(Email.id == claim.email_id, Email.state == EmailState.SENDING, Email.owner == claim.owner)
        .values(**values)
    )
    return changed_one(result)


def _order_of(session: Session, email_id: UUID) -> UUID | None:
    return session.scalar(
        select(Delivery.order_id).join(Email, Email.delivery_id == Delivery.id).where(Email.id == email_id)
    )
