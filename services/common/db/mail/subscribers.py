"""Statements about subscribers of the weekly mailing."""

from uuid import UUID, uuid4

from sqlalchemy import case, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.mail import emails
from services.common.db.models import Subscriber
from services.common.db.upsert import insert_if_absent

CONFIRMATION_INTERVAL = 3600 * SECOND
"""At most one confirmation an hour goes to an address, however often it is asked for."""


def subscribe(session: Session, *, email: str, email_key: str, locale: str, confirm: bool) -> UUID | None:
    """Subscribe an address; the confirmation e-mail to enqueue, if one is due.

    Without `confirm` the address is subscribed at once. One that is confirmed stays so; one that is suppressed too,
    until an operator lifts that: whoever asks need not be its owner, and its server said that it does not exist.
    """
    values = {"id": uuid4(), "email_key": email_key, "email": email, "locale": locale, "state": "PENDING"}
    # Two calls for a new address at once: one inserts, and both go on with its row.
    insert_if_absent(session, Subscriber, values)
    subscriber = session.scalars(select(Subscriber).where(Subscriber.email_key == email_key).with_for_update()).one()
    if subscriber.state == "CONFIRMED":
        subscriber.locale = locale
        return None
    if subscriber.state == "SUPPRESSED":
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
    return emails.insert_for_subscriber(session, subscriber.id, "CONFIRM")


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


def unsubscribe(session: Session, *, email_key: str | None = None, subscriber_id: UUID | None = None) -> UUID | None:
    """End a subscription; tokens of confirmation e-mails sent before lose their force. Unknown: no effect.

    Returns:
        The goodbye e-mail to enqueue, if one is due: where a confirmed address was given as such, which anyone can do,
        so its owner should know. Whoever comes with the token of an e-mail is its owner, and was answered.
    """
    who = Subscriber.email_key == email_key if email_key else Subscriber.id == subscriber_id
    subscriber = session.scalar(select(Subscriber).where(who).with_for_update())
    if subscriber is None or subscriber.state not in {"PENDING", "CONFIRMED"}:
        return None
    was_confirmed = subscriber.state == "CONFIRMED"
    subscriber.state = "UNSUBSCRIBED"
    subscriber.token_version += 1
    if was_confirmed:
        # Anyone may unsubscribe any address: were it forgotten when one that never confirmed last got an e-mail, to
        # subscribe and unsubscribe it in turn would flood it.
        subscriber.confirm_sent_at = None
    session.flush()
    return emails.insert_for_subscriber(session, subscriber.id, "GOODBYE") if was_confirmed and email_key else None


def suppress(session: Session, subscriber_id: UUID, reason: str) -> None:
    """The mail server says that there is no such mailbox: no e-mail of the mailing goes there any more."""
    session.execute(
        update(Subscriber)
        .where(Subscriber.id == subscriber_id, Subscriber.state != "SUPPRESSED")
        .values(state="SUPPRESSED", reason=reason, token_version=Subscriber.token_version + 1)
        .execution_options(synchronize_session=False)
    )


def lift(session: Session, email_key: str) -> bool:
    """Let an address that was suppressed subscribe again; False if it was not."""
    lifted = session.scalar(
        update(Subscriber)
        .where(Subscriber.email_key == email_key, Subscriber.state == "SUPPRESSED")
        .values(state="UNSUBSCRIBED", reason=None, confirm_sent_at=None)
        .returning(Subscriber.id)
        .execution_options(synchronize_session=False)
    )
    return lifted is not None


def get(session: Session, subscriber_id: UUID) -> Subscriber | None:
    """The subscriber, if there is one."""
    return session.get(Subscriber, subscriber_id)
