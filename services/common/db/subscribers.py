"""Statements about subscribers of the weekly mailing."""

from uuid import UUID, uuid4

from sqlalchemy import case, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from services.common.db import letters
from services.common.db.clock import SECOND, now
from services.common.db.models import Subscriber

CONFIRMATION_INTERVAL = 3600 * SECOND
"""At most one confirmation an hour goes to an address, however often it is asked for."""


def subscribe(session: Session, *, email: str, email_key: str, locale: str, confirm: bool) -> UUID | None:
    """Subscribe an address; the confirmation letter to enqueue, if one is due.

    Without `confirm` the address is subscribed at once. One that is confirmed stays so.
    """
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    values = {"id": uuid4(), "email_key": email_key, "email": email, "locale": locale, "state": "PENDING"}
    # Two calls for a new address at once: one inserts, and both go on with its row.
    session.execute(dialect.insert(Subscriber).values(**values).on_conflict_do_nothing())
    subscriber = session.scalars(select(Subscriber).where(Subscriber.email_key == email_key).with_for_update()).one()
    if subscriber.state == "CONFIRMED":
        subscriber.locale = locale
        return None
    subscriber.email, subscriber.locale, subscriber.reason = email, locale, None
    time = session.scalar(select(now()))
    assert time is not None
    if not confirm:
        subscriber.state, subscriber.confirmed_at = "CONFIRMED", time
        return None
    subscriber.state = "PENDING"
    if subscriber.confirm_sent_at and subscriber.confirm_sent_at > time - CONFIRMATION_INTERVAL:
        return None
    subscriber.confirm_sent_at = time
    session.flush()
    return letters.insert_confirmation(session, subscriber.id)


def confirm(session: Session, subscriber_id: UUID, token_version: int) -> bool:
    """Confirm by a token's content; False if it was superseded. Repeating it changes nothing."""
    confirmed = session.scalar(
        update(Subscriber)
        .where(
            Subscriber.id == subscriber_id,
            Subscriber.token_version == token_version,
            Subscriber.state.in_(("PENDING", "CONFIRMED")),
        )
        .values(
            state="CONFIRMED",
            confirmed_at=case((Subscriber.state == "CONFIRMED", Subscriber.confirmed_at), else_=now()),
        )
        .returning(Subscriber.id)
        .execution_options(synchronize_session=False)
    )
    return confirmed is not None


def unsubscribe(session: Session, *, email_key: str | None = None, subscriber_id: UUID | None = None) -> None:
    """End a subscription; tokens of confirmation letters sent before lose their force. Unknown: no effect."""
    who = Subscriber.email_key == email_key if email_key else Subscriber.id == subscriber_id
    session.execute(
        update(Subscriber)
        .where(who, Subscriber.state.in_(("PENDING", "CONFIRMED")))
        .values(
            state="UNSUBSCRIBED",
            token_version=Subscriber.token_version + 1,
            # Anyone may unsubscribe any address: were it forgotten when one that never confirmed last got a letter, to
            # subscribe and unsubscribe it in turn would flood it.
            confirm_sent_at=case((Subscriber.state == "CONFIRMED", None), else_=Subscriber.confirm_sent_at),
        )
        .execution_options(synchronize_session=False)
    )


def get(session: Session, subscriber_id: UUID) -> Subscriber | None:
    """The subscriber, if there is one."""
    return session.get(Subscriber, subscriber_id)
