"""Statements about mailboxes whose owners have confirmed that they want e-mails with results. Stored as hashes."""

from collections.abc import Sequence

from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import now
from services.common.db.models import ConfirmedMailbox, Delivery, Email, Order, Subscriber
from services.common.db.upsert import insert_if_absent
from services.common.domain.mail import EmailState, SubscriberState


def confirm(session: Session, mailbox: str) -> bool:
    """Record that a mailbox has confirmed; False if it had before."""
    values = {"mailbox": mailbox, "confirmed_at": session.scalar(select(now()))}
    return insert_if_absent(session, ConfirmedMailbox, values)


def is_confirmed(session: Session, mailboxes: Sequence[str], *, email_key: str) -> bool:
    """Return whether a mailbox has confirmed: one of these hashes of it, or its subscription of the newsletter."""
    confirmed = exists().where(ConfirmedMailbox.mailbox.in_(mailboxes))
    subscribed = exists().where(
        Subscriber.email_key == email_key,
        Subscriber.state == SubscriberState.CONFIRMED,
        # Otherwise it was subscribed without a confirmation.
        Subscriber.confirm_sent_at.is_not(None),
    )
    return bool(session.scalar(select(confirmed | subscribed)))


def delete_confirmation(session: Session, mailboxes: Sequence[str]) -> None:
    """Forget that a mailbox has confirmed."""
    session.execute(delete(ConfirmedMailbox).where(ConfirmedMailbox.mailbox.in_(mailboxes)))


def release_waiting(session: Session, mailboxes: Sequence[str]) -> None:
    """Let e-mails go that have waited for a mailbox to confirm, by hashes of it; the sweep enqueues them."""
    # Over many orders, none of which is locked (see `outbox`): an e-mail that is locked is about to be changed.
    waiting = (
        select(Email.id)
        .join(Delivery, Delivery.id == Email.delivery_id)
        .join(Order, Order.id == Delivery.order_id)
        .where(Order.mailbox.in_(mailboxes), Email.state == EmailState.QUEUED, Email.enqueued_at.is_(None))
    )
    session.execute(
        update(Email)
        .where(Email.id.in_(select(waiting.with_for_update(skip_locked=True, of=Email).cte().c.id)))
        .values(not_before=0)
    )
