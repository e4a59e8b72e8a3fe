"""Statements about subscribers of the newsletter."""

from uuid import UUID, uuid4

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.mail import emails
from services.common.db.models import Subscriber
from services.common.db.upsert import insert_if_absent
from services.common.domain.mail import EmailKind, SubscriberState, Suppression

CONFIRMATION_INTERVAL = 3600 * SECOND
"""An address gets at most one confirmation e-mail an hour, however often it is subscribed."""


SOFT_BOUNCES = 3
"""After so many soft bounces in a row an address is suppressed."""
SOFT_BOUNCE_SECONDS = 24 * 3600
"""At most one soft bounce is counted in this time: a full mailbox may return several e-mails in a day."""
SOFT_BOUNCE_ROW_SECONDS = 30 * 24 * 3600
"""A soft bounce begins a new row so long after the one before."""


def subscribe(
    session: Session, *, email: str, email_key: str, locale: str, confirm: bool, time_zone: str | None = None
) -> UUID | None:
    """Subscribe an address; return the confirmation e-mail to enqueue after the commit, if one is due.

    Without `confirm` the address is confirmed at once. A confirmed address stays confirmed. A suppressed one stays
    suppressed until an operator lifts that, since its mail server reported that it does not exist.
    """
    values = {
        "id": uuid4(),
        "email_key": email_key,
        "email": email,
        "locale": locale,
        "state": SubscriberState.PENDING,
        "created_at": session.scalar(select(now())),
    }
    # Of two concurrent calls for a new address, one inserts the row, and both continue with it.
    insert_if_absent(session, Subscriber, values)
    subscriber = session.scalars(select(Subscriber).where(Subscriber.email_key == email_key).with_for_update()).one()
    if subscriber.state == SubscriberState.CONFIRMED:
        subscriber.locale = locale
        subscriber.time_zone = time_zone or subscriber.time_zone
        return None
    if subscriber.state == SubscriberState.SUPPRESSED:
        return None
    subscriber.email, subscriber.locale, subscriber.reason = email, locale, None
    subscriber.time_zone = time_zone or subscriber.time_zone
    # Now its owner has subscribed it, or is asked to confirm that.
    subscriber.source = subscriber.consent_at = None
    subscriber.soft_bounces = 0
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


def suppress(
    session: Session, subscriber_id: UUID, reason: str, suppression: Suppression = Suppression.NO_MAILBOX
) -> bool:
    """Send nothing more to a subscriber; False if it was suppressed. `reason`: a reply, without the address."""
    suppressed = session.scalar(
        update(Subscriber)
        .where(Subscriber.id == subscriber_id, Subscriber.state != SubscriberState.SUPPRESSED)
        .values(
            state=SubscriberState.SUPPRESSED,
            state_before=Subscriber.state,
            suppression=suppression,
            suppressed_at=now(),
            reason=reason,
            token_version=Subscriber.token_version + 1,
        )
        .returning(Subscriber.id)
    )
    return suppressed is not None


def suppress_address(session: Session, *, email: str, email_key: str, reason: str, suppression: Suppression) -> bool:
    """Suppress an address, whether it is subscribed or not; False if it was suppressed."""
    values = {
        "id": uuid4(),
        "email_key": email_key,
        "email": email,
        "locale": "en",
        "state": SubscriberState.UNSUBSCRIBED,
        "created_at": session.scalar(select(now())),
    }
    insert_if_absent(session, Subscriber, values)
    subscriber_id = session.scalars(select(Subscriber.id).where(Subscriber.email_key == email_key)).one()
    return suppress(session, subscriber_id, reason, suppression)


def count_soft_bounce(session: Session, subscriber_id: UUID, reason: str) -> bool:
    """Count an e-mail that came back for now, and suppress the subscriber when it is one too many; True if it was."""
    subscriber = session.get(Subscriber, subscriber_id, with_for_update=True)
    time = session.scalar(select(now()))
    assert time is not None
    if subscriber is None or subscriber.state == SubscriberState.SUPPRESSED:
        return False
    last = subscriber.soft_bounced_at
    if last is not None and last > time - SOFT_BOUNCE_SECONDS * SECOND and subscriber.soft_bounces:
        return False
    in_a_row = last is not None and last > time - SOFT_BOUNCE_ROW_SECONDS * SECOND
    subscriber.soft_bounces = subscriber.soft_bounces + 1 if in_a_row else 1
    subscriber.soft_bounced_at = time
    session.flush()
    return subscriber.soft_bounces >= SOFT_BOUNCES and suppress(
        session, subscriber_id, reason, Suppression.SOFT_BOUNCES
    )


def lift_suppression(session: Session, email_key: str, *, restore: bool = False) -> bool:
    """Let a suppressed address subscribe again, or give it the state it had before; False if it was not suppressed."""
    state = func.coalesce(Subscriber.state_before, SubscriberState.UNSUBSCRIBED) if restore else None
    lifted = session.scalar(
        update(Subscriber)
        .where(Subscriber.email_key == email_key, Subscriber.state == SubscriberState.SUPPRESSED)
        .values(
            state=SubscriberState.UNSUBSCRIBED if state is None else state,
            state_before=None,
            suppression=None,
            suppressed_at=None,
            reason=None,
            soft_bounces=0,
            confirm_sent_at=Subscriber.confirm_sent_at if restore else None,
        )
        .returning(Subscriber.id)
    )
    return lifted is not None


def find(session: Session, email_key: str, *, lock: bool = False) -> Subscriber | None:
    """Return the subscriber with an address, if there is one."""
    query = select(Subscriber).where(Subscriber.email_key == email_key)
    return session.scalar(query.with_for_update() if lock else query)


def get(session: Session, subscriber_id: UUID) -> Subscriber | None:
    """Return a subscriber, if there is one."""
    return session.get(Subscriber, subscriber_id)
