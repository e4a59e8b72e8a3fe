"""Statements about subscribers of the newsletter."""

from uuid import UUID, uuid4

from sqlalchemy import case, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.mail import emails
from services.common.db.models import Subscriber
from services.common.db.upsert import insert_if_absent
from services.common.domain.mail import EmailKind, SubscriberState

CONFIRMATION_INTERVAL = 3600 * SECOND
"""An address gets at most one confirmation e-mail an hour, however often it is subscribed."""


def subscribe(session: Session, *, email: str, email_key: str, locale: str, confirm: bool) -> UUID | None:
    """Subscribe an address; return the confirmation e-mail to enqueue after the commit, if one is due.

    Without `confirm` the address is confirmed at once. A confirmed address stays confirmed. A suppressed one stays
    suppressed until an operator lifts that, since its mail server reported that it does not exist.
    """
    values = {"id": uuid4(), "email_key": email_key, "email": email, "locale": locale, "state": SubscriberState.PENDING}
    # Of two concurrent calls for a new address, one inserts the row, and both continue with it.
    insert_if_absent(session, Subscriber, values)
    subscriber = session.scalars(select(Subscriber).where(Subscriber.email_key == email_key).with_for_update()).one()
    if subscriber.state == SubscriberState.CONFIRMED:
        subscriber.locale = locale
        return None
    if subscriber.state == SubscriberState.SUPPRESSED:
        return None
    subscriber.email, subscriber.locale, subscriber.reason = email, locale, None
    time = session.scalar(select(now()))
    assert time is not None
    if not confirm:
        subscriber.state, subscriber.confirmed_at = SubscriberState.CONFIRMED, time
        return None
    subscriber.state = SubscriberState.PENDING
    if subscriber.confirm_sent_at and subscriber.confirm_sent_at > time - CONFIRMATION_INTERVAL:
        return None
    subscriber.confirm_sent_at = time
    session.flush()
    return emails.insert_subscriber_email(session, subscriber.id, EmailKind.CONFIRM)


def confirm(session: Session, subscriber_id: UUID, token_version: int) -> bool:
    """Confirm a subscription with a token's content; False if the token is void. Repeating it changes nothing."""
    confirmed = session.scalar(
        update(Subscriber)
        .where(
            Subscriber.id == subscriber_id,
            Subscriber.token_version == token_version,
            Subscriber.state.in_((SubscriberState.PENDING, SubscriberState.CONFIRMED)),
        )
        .values(
            state=SubscriberState.CONFIRMED,
            confirmed_at=case((Subscriber.state == SubscriberState.CONFIRMED, Subscriber.confirmed_at), else_=now()),
        )
        .returning(Subscriber.id)
        .execution_options(synchronize_session=False)
    )
    return confirmed is not None


def unsubscribe(session: Session, *, email_key: str | None = None, subscriber_id: UUID | None = None) -> UUID | None:
    """End a subscription and void its tokens; without effect for an unknown address.

    Returns:
        The goodbye e-mail to enqueue after the commit, if one is due: only where a confirmed address was given, which
        anyone can do. The holder of a token got it by e-mail and has seen the page's answer.
    """
    match_subscriber = Subscriber.email_key == email_key if email_key else Subscriber.id == subscriber_id
    subscriber = session.scalar(select(Subscriber).where(match_subscriber).with_for_update())
    if subscriber is None or subscriber.state not in {SubscriberState.PENDING, SubscriberState.CONFIRMED}:
        return None
    was_confirmed = subscriber.state == SubscriberState.CONFIRMED
    subscriber.state = SubscriberState.UNSUBSCRIBED
    subscriber.token_version += 1
    if was_confirmed:
        # Not for a pending address: by subscribing and unsubscribing it repeatedly, anyone could flood it with
        # confirmation e-mails.
        subscriber.confirm_sent_at = None
    session.flush()
    goodbye = was_confirmed and email_key
    return emails.insert_subscriber_email(session, subscriber.id, EmailKind.GOODBYE) if goodbye else None


def suppress(session: Session, subscriber_id: UUID, reason: str) -> None:
    """Send no more newsletters to an address: the mail server reported that there is no such mailbox."""
    session.execute(
        update(Subscriber)
        .where(Subscriber.id == subscriber_id, Subscriber.state != SubscriberState.SUPPRESSED)
        .values(state=SubscriberState.SUPPRESSED, reason=reason, token_version=Subscriber.token_version + 1)
        .execution_options(synchronize_session=False)
    )


def lift_suppression(session: Session, email_key: str) -> bool:
    """Let a suppressed address subscribe again; False if it was not suppressed."""
    lifted = session.scalar(
        update(Subscriber)
        .where(Subscriber.email_key == email_key, Subscriber.state == SubscriberState.SUPPRESSED)
        .values(state=SubscriberState.UNSUBSCRIBED, reason=None, confirm_sent_at=None)
        .returning(Subscriber.id)
        .execution_options(synchronize_session=False)
    )
    return lifted is not None


def get(session: Session, subscriber_id: UUID) -> Subscriber | None:
    """Return a subscriber, if there is one."""
    return session.get(Subscriber, subscriber_id)
