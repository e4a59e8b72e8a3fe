"""Statements about the e-mails of a mailing, which are inserted, claimed and ended a batch at a time.

An e-mail's row is inserted by the transaction that claims it. So a mailing of a hundred thousand keeps no backlog in
rows or in the broker, and after any crash it continues from its cursor. The unique (mailing, subscriber) makes sure
that no subscriber gets two e-mails of one mailing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Row, bindparam, exists, insert, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, from_datetime, now
from services.common.db.mail import mailing_parts
from services.common.db.mail.emails import EmailClaim, SendDecision
from services.common.db.mail.mailing_parts import ReaderClocks
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
_IS_PAUSED = (
    select(_EMAILS.c.id)
    .join(_MAILINGS, _MAILINGS.c.id == _EMAILS.c.mailing_id)
    .where(_HELD, _SUBSCRIBED, _MAILINGS.c.state == MailingState.HELD)
)
_IS_HELD = select(_EMAILS.c.id).where(_HELD)


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """A subscriber whose e-mail of a mailing is claimed."""

    claim: EmailClaim
    address: str
    locale: str
    token_version: int
    seconds_left: float | None = None
    """How long after the claim it may be sent; None: any time."""


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
    per_hour: int | None = None
    """Most e-mails of the mailing in an hour."""


def claim_batch(session: Session, mailing_id: UUID, *, size: int, lease_seconds: float) -> Batch | None:
    """Claim e-mails that are due for another attempt, then those of the next subscribers; None if there are none."""
    # The update locks the row, so mailers that claim of the same mailing wait for each other here, and only here.
    mailing = session.execute(
        update(_MAILINGS)
        .where(_MAILINGS.c.id == mailing_id, _MAILINGS.c.state == MailingState.SENDING, _MAILINGS.c.not_before <= now())
        .values(enqueued_at=now())
        .returning(*_MAILINGS.c)
    ).one_or_none()
    if mailing is None:
        return None
    clocks = mailing_parts.clocks_of(mailing, session.scalar(select(now())) or 0)
    if mailing.local_time is None and (opens_at := clocks.opens_at(None)) > clocks.now:
        # Nothing is wrong any more: otherwise it would be tried again earlier.
        values = {"not_before": from_datetime(opens_at), "troubles": 0}
        session.execute(update(_MAILINGS).where(_MAILINGS.c.id == mailing_id).values(values))
        return None
    if mailing.per_hour:
        # Not more than are sent in about a minute: others may be due earlier, or the mailer may have to stop.
        size = max(1, min(size, mailing.per_hour // 60))
    owner = uuid4()
    allowed = mailing_parts.in_open_windows(session, mailing_id, clocks) if mailing.local_time else None
    claimed = _claim_due(session, mailing_id, owner=owner, size=size, lease_seconds=lease_seconds, allowed=allowed)
    if len(claimed) < size:
        for subscribers in _next_subscribers(session, mailing, clocks, size - len(claimed)):
            _insert(session, mailing_id, subscribers, owner=owner, lease_seconds=lease_seconds)
    recipients = _list_recipients(session, mailing_id, owner, clocks, by_reader=mailing.local_time is not None)
    if not recipients:
        return None
    return Batch(
        mailing_id=mailing_id,
        owner=owner,
        content=mailing.content,
        failures=mailing.troubles,
        recipients=recipients,
        per_hour=mailing.per_hour,
    )


def confirm_claim(session: Session, claim: EmailClaim, *, lease_seconds: float) -> SendDecision:
    """Extend a lease to so long from now, if the e-mail is still claimed and still wanted."""
    held = {"email_id": claim.email_id, "claim_owner": claim.owner}
    result = session.execute(_CONFIRM, held | {"lease_microseconds": int(lease_seconds * SECOND)})
    if changed_one(result):
        return SendDecision.SEND
    if session.scalar(_IS_HELD, held) is None:
        return SendDecision.LOST
    return SendDecision.LATER if session.scalar(_IS_PAUSED, held) else SendDecision.NOT_WANTED


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


def _claim_due(
    session: Session,
    mailing_id: UUID,
    *,
    owner: UUID,
    size: int,
    lease_seconds: float,
    allowed: ColumnElement[bool] | None,
) -> Sequence[UUID]:
    """Claim e-mails that are due for another attempt; `allowed`: a condition on their subscribers."""
    query = select(_EMAILS.c.id).where(
        _EMAILS.c.mailing_id == mailing_id, _EMAILS.c.state == EmailState.QUEUED, _EMAILS.c.not_before <= now()
    )
    if allowed is not None:
        query = query.where(exists().where(_SUBSCRIBERS.c.id == _EMAILS.c.subscriber_id, allowed).correlate(_EMAILS))
    due = query.limit(size).with_for_update(skip_locked=True).cte()
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


def _next_subscribers(session: Session, mailing: Row[Any], clocks: ReaderClocks, size: int) -> Iterator[Sequence[UUID]]:
    """Yield subscribers without an e-mail of the mailing, at most `size` together, and move the cursors."""
    if mailing.local_time is None:
        query = select(_SUBSCRIBERS.c.id).where(_SUBSCRIBERS.c.state == SubscriberState.CONFIRMED)
        if mailing.cursor_id:
            query = query.where(_SUBSCRIBERS.c.id > mailing.cursor_id)
        found = session.scalars(query.order_by(_SUBSCRIBERS.c.id).limit(size)).all()
        if found:
            session.execute(update(_MAILINGS).where(_MAILINGS.c.id == mailing.id).values(cursor_id=found[-1]))
            yield found
        return
    while size and (due := mailing_parts.list_due(session, mailing.id, clocks)):
        found = mailing_parts.next_subscribers(session, mailing.id, due[0], size=size)
        size -= len(found)
        yield found


def _insert(
    session: Session, mailing_id: UUID, subscribers: Sequence[UUID], *, owner: UUID, lease_seconds: float
) -> None:
    """Insert e-mails for subscribers, claimed already."""
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


def _list_recipients(
    session: Session, mailing_id: UUID, owner: UUID, clocks: ReaderClocks, *, by_reader: bool
) -> list[Recipient]:
    seconds_left = cache(clocks.seconds_left)
    rows = session.execute(
        select(
            _EMAILS.c.id,
            _EMAILS.c.subscriber_id,
            _EMAILS.c.attempts,
            _SUBSCRIBERS.c.email,
            _SUBSCRIBERS.c.locale,
            _SUBSCRIBERS.c.token_version,
            _SUBSCRIBERS.c.time_zone,
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
            seconds_left=seconds_left(row.time_zone if by_reader else None),
        )
        for row in rows
    ]
