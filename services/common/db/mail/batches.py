"""Statements about the e-mails of a mailing, which are inserted, claimed and ended a batch at a time.

An e-mail's row is inserted by the transaction that claims it. So a mailing of a hundred thousand keeps no backlog in
rows or in the broker, and after any crash it continues from its cursor. The unique (mailing, subscriber) makes sure
that no subscriber gets two e-mails of one mailing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import bindparam, exists, insert, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.mail.emails import EmailClaim, SendDecision
from services.common.db.models import Email, Mailing, Subscriber, table
from services.common.db.rows import changed_one
from services.common.domain.mail import EmailKind, EmailState, MailingState, SubscriberState

_EMAILS, _MAILINGS, _SUBSCRIBERS = table(Email), table(Mailing), table(Subscriber)
_HELD = (
    (_EMAILS.c.id == bindparam("email_id"))
    & (_EMAILS.c.state == EmailState.SENDING)
    & (_EMAILS.c.owner == bindparam("claim_owner"))
)
_SUBSCRIBED = (
    exists()
    .where(_SUBSCRIBERS.c.id == _EMAILS.c.subscriber_id, _SUBSCRIBERS.c.state == SubscriberState.CONFIRMED)
    .correlate(_EMAILS)
)
_MAILING_OPEN = (
    exists().where(_MAILINGS.c.id == _EMAILS.c.mailing_id, _MAILINGS.c.state == MailingState.SENDING).correlate(_EMAILS)
)
_CONFIRM = (
    update(_EMAILS).where(_HELD, _SUBSCRIBED, _MAILING_OPEN).values(lease_until=now() + bindparam("lease_microseconds"))
)
_IS_HELD = select(_EMAILS.c.id).where(_HELD)


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """A subscriber whose e-mail of a mailing is claimed."""

    claim: EmailClaim
    address: str
    locale: str
    token_version: int


@dataclass(frozen=True, kw_only=True)
class Batch:
    """E-mails of a mailing that one mailer has claimed under one owner."""

    mailing_id: UUID
    owner: UUID
    content: str
    """The mailing's, as JSON."""
    failures: int
    """Failures of the mail server in a row."""
    recipients: Sequence[Recipient]


def claim_batch(session: Session, mailing_id: UUID, *, size: int, lease_seconds: float) -> Batch | None:
    """Claim e-mails that are due for another attempt, then those of the next subscribers; None if there are none."""
    # The update locks the row, so mailers that claim of the same mailing wait for each other here, and only here.
    mailing = session.execute(
        update(_MAILINGS)
        .where(
            _MAILINGS.c.id == mailing_id,
            _MAILINGS.c.state == MailingState.SENDING,
            _MAILINGS.c.not_before <= now(),
        )
        .values(enqueued_at=now())
        .returning(_MAILINGS.c.content, _MAILINGS.c.cursor_id, _MAILINGS.c.troubles)
    ).one_or_none()
    if mailing is None:
        return None
    owner = uuid4()
    claimed = _claim_due(session, mailing_id, owner, size, lease_seconds)
    if len(claimed) < size:
        missing = size - len(claimed)
        _insert_next(session, mailing_id, mailing.cursor_id, owner=owner, size=missing, lease_seconds=lease_seconds)
    recipients = _list_recipients(session, mailing_id, owner)
    if not recipients:
        return None
    return Batch(
        mailing_id=mailing_id,
        owner=owner,
        content=mailing.content,
        failures=mailing.troubles,
        recipients=recipients,
    )


def confirm_claim(session: Session, claim: EmailClaim, *, lease_seconds: float) -> SendDecision:
    """Extend a lease to so long from now, if the e-mail is still claimed and still wanted."""
    held = {"email_id": claim.email_id, "claim_owner": claim.owner}
    result = session.execute(_CONFIRM, held | {"lease_microseconds": int(lease_seconds * SECOND)})
    if changed_one(result):
        return SendDecision.SEND
    return SendDecision.LOST if session.scalar(_IS_HELD, held) is None else SendDecision.NOT_WANTED


def return_unsent(session: Session, batch: Batch, recipients: Sequence[Recipient]) -> None:
    """Queue e-mails of a batch that were not attempted: the claim counts as no attempt."""
    session.execute(
        update(_EMAILS)
        .where(
            _EMAILS.c.id.in_([recipient.claim.email_id for recipient in recipients]),
            _EMAILS.c.state == EmailState.SENDING,
            _EMAILS.c.owner == batch.owner,
        )
        .values(state=EmailState.QUEUED, owner=None, lease_until=None, attempts=_EMAILS.c.attempts - 1)
    )


def _claim_due(session: Session, mailing_id: UUID, owner: UUID, size: int, lease_seconds: float) -> Sequence[UUID]:
    due = (
        select(_EMAILS.c.id)
        .where(
            _EMAILS.c.mailing_id == mailing_id,
            _EMAILS.c.state == EmailState.QUEUED,
            _EMAILS.c.not_before <= now(),
        )
        .limit(size)
        .with_for_update(skip_locked=True)
        .cte()
    )
    return session.scalars(
        update(_EMAILS)
        .where(_EMAILS.c.id.in_(select(due.c.id)))
        .values(
            state=EmailState.SENDING,
            owner=owner,
            lease_until=now() + int(lease_seconds * SECOND),
            attempts=_EMAILS.c.attempts + 1,
        )
        .returning(_EMAILS.c.id)
    ).all()


def _insert_next(
    session: Session, mailing_id: UUID, cursor: UUID | None, *, owner: UUID, size: int, lease_seconds: float
) -> None:
    """Insert e-mails for the next subscribers after the cursor, claimed already, and move the cursor."""
    query = select(_SUBSCRIBERS.c.id).where(_SUBSCRIBERS.c.state == SubscriberState.CONFIRMED)
    if cursor:
        query = query.where(_SUBSCRIBERS.c.id > cursor)
    subscribers = session.scalars(query.order_by(_SUBSCRIBERS.c.id).limit(size)).all()
    if not subscribers:
        return
    time = session.scalar(select(now()))
    assert time is not None
    common = {
        "kind": EmailKind.NEWSLETTER,
        "mailing_id": mailing_id,
        "state": EmailState.SENDING,
        "owner": owner,
        "lease_until": time + int(lease_seconds * SECOND),
        "attempts": 1,
    }
    session.execute(insert(_EMAILS), [common | {"id": uuid4(), "subscriber_id": it} for it in subscribers])
    session.execute(update(_MAILINGS).where(_MAILINGS.c.id == mailing_id).values(cursor_id=subscribers[-1]))


def _list_recipients(session: Session, mailing_id: UUID, owner: UUID) -> list[Recipient]:
    rows = session.execute(
        select(
            _EMAILS.c.id,
            _EMAILS.c.subscriber_id,
            _EMAILS.c.attempts,
            _SUBSCRIBERS.c.email,
            _SUBSCRIBERS.c.locale,
            _SUBSCRIBERS.c.token_version,
        )
        .join(_SUBSCRIBERS, _SUBSCRIBERS.c.id == _EMAILS.c.subscriber_id)
        .where(_EMAILS.c.mailing_id == mailing_id, _EMAILS.c.owner == owner, _EMAILS.c.state == EmailState.SENDING)
    )
    return [
        Recipient(
            claim=EmailClaim(
                email_id=row.id,
                kind=EmailKind.NEWSLETTER,
                part=1,
                order_id=None,
                delivery_id=None,
                mailing_id=mailing_id,
                subscriber_id=row.subscriber_id,
                owner=owner,
                attempts=row.attempts,
            ),
            address=row.email,
            locale=row.locale,
            token_version=row.token_version,
        )
        for row in rows
    ]
