"""Statements about e-mails: claimed, sent, failed, put back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID, uuid4

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.mail import deliveries
from services.common.db.models import Delivery, Email, Subscriber
from services.common.db.orders import orders
from services.common.db.rows import changed_one
from services.common.domain.errors import Reason
from services.common.domain.mail import EmailState, SubscriberState
from services.common.domain.retries import MAX_EMAIL_ATTEMPTS


@dataclass(frozen=True)
class EmailClaim:
    """The right to send an e-mail until its lease runs out."""

    email_id: UUID
    kind: str
    part: int
    order_id: UUID | None
    delivery_id: UUID | None
    mailing_id: UUID | None
    subscriber_id: UUID | None
    owner: UUID
    attempts: int
    """This one included."""


def claim(session: Session, email_id: UUID, *, lease_seconds: float) -> EmailClaim | None:
    """Take an e-mail that was given to the broker; None if it is not queued (somebody else's, cancelled, gone).

    None too if it waits for its next attempt: a repeated message is early, one that is in time will come.
    """
    order_id = _order_of(session, email_id)
    if order_id:
        orders.lock(session, order_id)
    email = session.scalar(
        update(Email)
        .where(Email.id == email_id, Email.state == "QUEUED", Email.enqueued_at.is_not(None))
        .values(
            state="SENDING",
            owner=uuid4(),
            lease_until=now() + int(lease_seconds * SECOND),
            attempts=Email.attempts + 1,
            started_at=now(),
        )
        .returning(Email)
        .execution_options(synchronize_session=False)
    )
    if email is None:
        session.rollback()
        return None
    assert email.owner
    if email.delivery_id:
        deliveries.sending(session, email.delivery_id)
    return EmailClaim(
        email.id,
        email.kind,
        email.part,
        order_id,
        email.delivery_id,
        email.mailing_id,
        email.subscriber_id,
        email.owner,
        email.attempts,
    )


def renew(session: Session, owners: Sequence[UUID], *, lease_seconds: float) -> None:
    """Extend the leases that these owners still hold; none gets shorter."""
    lease_until = now() + int(lease_seconds * SECOND)
    # Over many orders, none of which is locked (see `outbox`): an e-mail that is locked is about to end its claim.
    held = select(Email.id).where(Email.owner.in_(owners), Email.state == "SENDING", Email.lease_until < lease_until)
    session.execute(
        update(Email)
        .where(Email.id.in_(select(held.with_for_update(skip_locked=True).cte().c.id)))
        .values(lease_until=lease_until)
        .execution_options(synchronize_session=False)
    )


def extend(session: Session, claimed: EmailClaim, *, lease_seconds: float) -> bool:
    """Make sure that a claim lasts so long from now; False if it was lost meanwhile."""
    result = session.execute(
        update(Email)
        .where(Email.id == claimed.email_id, Email.state == "SENDING", Email.owner == claimed.owner)
        .values(lease_until=now() + int(lease_seconds * SECOND))
        .execution_options(synchronize_session=False)
    )
    return changed_one(result)


def insert_parts(session: Session, claimed: EmailClaim, parts: int) -> list[UUID]:
    """The e-mails that a delivery in so many parts still lacks, to be enqueued after the commit.

    Empty too if the claim was lost meanwhile.
    """
    assert claimed.order_id
    assert claimed.delivery_id
    # The order first, as everybody does: with it locked, nobody cancels the delivery or adds parts meanwhile.
    orders.lock(session, claimed.order_id)
    held = select(Email.id).where(Email.id == claimed.email_id, Email.state == "SENDING", Email.owner == claimed.owner)
    if session.scalar(held) is None:
        session.rollback()
        return []
    there = set(session.scalars(select(Email.part).where(Email.delivery_id == claimed.delivery_id)))
    return [
        deliveries.insert_email(session, claimed.delivery_id, part) for part in range(1, parts + 1) if part not in there
    ]


def sent(session: Session, claimed: EmailClaim, *, smtp_reply: str) -> bool:
    """The server took the e-mail; False if the claim was lost meanwhile."""
    return _end(session, claimed, {"state": "SENT", "smtp_reply": smtp_reply, "sent_at": now()}, told=smtp_reply)


def failed(session: Session, claimed: EmailClaim, reason: Reason, message: str) -> bool:
    """The e-mail will never be sent; False if the claim was lost meanwhile."""
    return _end(session, claimed, {"state": "FAILED", "smtp_reply": message}, reason=reason, message=message)


def cancelled(session: Session, claimed: EmailClaim) -> bool:
    """The e-mail is not wanted any more; False if the claim was lost meanwhile."""
    return _end(session, claimed, {"state": "CANCELLED"})


def release(session: Session, claimed: EmailClaim, *, delay: float, message: str) -> bool:
    """Put an e-mail back for another attempt in `delay` seconds; False if the claim was lost meanwhile."""
    not_before = now() + int(delay * SECOND)
    values = {"state": "QUEUED", "not_before": not_before, "enqueued_at": None, "smtp_reply": message}
    return _end(session, claimed, values, told=message)


def postpone(session: Session, claimed: EmailClaim, *, delay: float, message: str) -> bool:
    """Put an e-mail back that was not tried; the attempt does not count. False if the claim was lost meanwhile."""
    not_before = now() + int(delay * SECOND)
    values = {"state": "QUEUED", "not_before": not_before, "enqueued_at": None, "attempts": Email.attempts - 1}
    return _end(session, claimed, values, told=message)


def take_back(session: Session, claimed: EmailClaim) -> bool:
    """Put an e-mail back whose lease has run out; False if its owner has renewed it or finished meanwhile."""
    if claimed.order_id:
        orders.lock(session, claimed.order_id)
    lapsed = select(Email.id).where(
        Email.id == claimed.email_id, Email.owner == claimed.owner, Email.lease_until < now()
    )
    if session.scalar(lapsed.with_for_update()) is None:
        session.rollback()
        return False
    if claimed.attempts >= MAX_EMAIL_ATTEMPTS:
        return failed(
            session, claimed, Reason.INTERNAL, f"no mailer finished the e-mail in {MAX_EMAIL_ATTEMPTS} attempts"
        )
    return release(session, claimed, delay=0, message="the mailer did not finish")


def _end(
    session: Session,
    claimed: EmailClaim,
    values: Mapping[str, object],
    *,
    reason: Reason | None = None,
    message: str | None = None,
    told: str | None = None,
) -> bool:
    if claimed.order_id:
        orders.lock(session, claimed.order_id)
    result = session.execute(
        update(Email)
        .where(Email.id == claimed.email_id, Email.state == "SENDING", Email.owner == claimed.owner)
        .values(owner=None, lease_until=None, **values)
        .execution_options(synchronize_session=False)
    )
    if not changed_one(result):
        session.rollback()
        return False
    if claimed.delivery_id and told:
        deliveries.told(session, claimed.delivery_id, told)
    if claimed.delivery_id:
        deliveries.email_ended(session, claimed.delivery_id, reason=reason, message=message)
    return True


def insert_for_subscriber(session: Session, subscriber_id: UUID, kind: Literal["CONFIRM", "GOODBYE"]) -> UUID:
    """An e-mail that asks a subscriber to confirm, or says goodbye, to be enqueued after the commit; its id."""
    email_id = uuid4()
    session.execute(
        insert(Email).values(id=email_id, kind=kind, subscriber_id=subscriber_id, state="QUEUED", enqueued_at=now())
    )
    return email_id


def cancel_queued_of_subscribers(session: Session) -> int:
    """Cancel confirmation and goodbye e-mails that wait; return how many."""
    queued = (Email.state == EmailState.QUEUED, Email.delivery_id.is_(None), Email.mailing_id.is_(None))
    subscriber_ids = session.scalars(
        update(Email)
        .where(*queued)
        .values(state=EmailState.CANCELLED)
        .returning(Email.subscriber_id)
        .execution_options(synchronize_session=False)
    ).all()
    # They may request another confirmation at once.
    session.execute(
        update(Subscriber)
        .where(Subscriber.id.in_(subscriber_ids), Subscriber.state == SubscriberState.PENDING)
        .values(confirm_sent_at=None)
        .execution_options(synchronize_session=False)
    )
    return len(subscriber_ids)


def _order_of(session: Session, email_id: UUID) -> UUID | None:
    return session.scalar(
        select(Delivery.order_id).join(Email, Email.delivery_id == Delivery.id).where(Email.id == email_id)
    )
