"""Statements about the e-mails of a mailing: written, claimed and ended a batch at a time.

An e-mail's row is written by the transaction that claims it, so a mailing of a hundred thousand never waits in rows or
in the broker, and goes on after any crash from its cursor. The unique (mailing, subscriber) is the ledger.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from uuid import UUID, uuid4

from sqlalchemy import bindparam, exists, insert, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.mail.emails import EmailClaim
from services.common.db.models import Email, Mailing, Subscriber, table
from services.common.db.rows import changed_one

_EMAILS, _MAILINGS, _SUBSCRIBERS = table(Email), table(Mailing), table(Subscriber)
_HELD = (
    (_EMAILS.c.id == bindparam("email")) & (_EMAILS.c.state == "SENDING") & (_EMAILS.c.owner == bindparam("claimant"))
)
_WANTED = (
    exists().where(_SUBSCRIBERS.c.id == _EMAILS.c.subscriber_id, _SUBSCRIBERS.c.state == "CONFIRMED").correlate(_EMAILS)
) & exists().where(_MAILINGS.c.id == _EMAILS.c.mailing_id, _MAILINGS.c.state == "SENDING").correlate(_EMAILS)
_BEGIN = update(_EMAILS).where(_HELD, _WANTED).values(lease_until=now() + bindparam("lease"))
_CANCEL = update(_EMAILS).where(_HELD).values(state="CANCELLED", owner=None, lease_until=None)


class Go(Enum):
    """Whether a claimed e-mail is to be sent."""

    SEND = "send"
    NOT_WANTED = "its reader has unsubscribed, or the mailing was cancelled"
    LOST = "the claim was lost"


@dataclass(frozen=True)
class Reader:
    """Whom an e-mail of a mailing goes to."""

    claim: EmailClaim
    email: str
    locale: str
    token_version: int


@dataclass(frozen=True)
class Batch:
    """E-mails of a mailing that one mailer has claimed, under one owner."""

    mailing_id: UUID
    owner: UUID
    content: str
    """The mailing's, as JSON."""
    troubles: int
    """How often in turn the mail server was in trouble."""
    readers: Sequence[Reader]


def claim(session: Session, mailing_id: UUID, *, size: int, lease_seconds: float) -> Batch | None:
    """Take e-mails that may be tried again, then those of the next subscribers; None if there is nothing to do now."""
    # The update locks the row: mailers at work on the same mailing take turns here, and only here.
    mailing = session.execute(
        update(_MAILINGS)
        .where(_MAILINGS.c.id == mailing_id, _MAILINGS.c.state == "SENDING", _MAILINGS.c.not_before <= now())
        .values(enqueued_at=now())
        .returning(_MAILINGS.c.content, _MAILINGS.c.cursor_id, _MAILINGS.c.troubles)
    ).one_or_none()
    if mailing is None:
        return None
    owner = uuid4()
    claimed = _claim_due(session, mailing_id, owner, size, lease_seconds)
    if len(claimed) < size:
        missing = size - len(claimed)
        _write_next(session, mailing_id, mailing.cursor_id, owner=owner, size=missing, lease_seconds=lease_seconds)
    readers = _readers(session, mailing_id, owner)
    return Batch(mailing_id, owner, mailing.content, mailing.troubles, readers) if readers else None


def begin(session: Session, claimed: EmailClaim, *, lease_seconds: float) -> Go:
    """Make sure that an e-mail is still claimed, for so long from now, and still wanted."""
    held = {"email": claimed.email_id, "claimant": claimed.owner}
    if changed_one(session.execute(_BEGIN, held | {"lease": int(lease_seconds * SECOND)})):
        return Go.SEND
    return Go.NOT_WANTED if changed_one(session.execute(_CANCEL, held)) else Go.LOST


def give_back(session: Session, batch: Batch, readers: Sequence[Reader]) -> None:
    """E-mails of a batch that were not tried; the attempt does not count."""
    session.execute(
        update(_EMAILS)
        .where(
            _EMAILS.c.id.in_([reader.claim.email_id for reader in readers]),
            _EMAILS.c.state == "SENDING",
            _EMAILS.c.owner == batch.owner,
        )
        .values(state="QUEUED", owner=None, lease_until=None, attempts=_EMAILS.c.attempts - 1)
    )


def _claim_due(session: Session, mailing_id: UUID, owner: UUID, size: int, lease_seconds: float) -> Sequence[UUID]:
    due = (
        select(_EMAILS.c.id)
        .where(_EMAILS.c.mailing_id == mailing_id, _EMAILS.c.state == "QUEUED", _EMAILS.c.not_before <= now())
        .limit(size)
        .with_for_update(skip_locked=True)
        .cte()
    )
    return session.scalars(
        update(_EMAILS)
        .where(_EMAILS.c.id.in_(select(due.c.id)))
        .values(
            state="SENDING",
            owner=owner,
            lease_until=now() + int(lease_seconds * SECOND),
            attempts=_EMAILS.c.attempts + 1,
        )
        .returning(_EMAILS.c.id)
    ).all()


def _write_next(
    session: Session, mailing_id: UUID, cursor: UUID | None, *, owner: UUID, size: int, lease_seconds: float
) -> None:
    query = select(_SUBSCRIBERS.c.id).where(_SUBSCRIBERS.c.state == "CONFIRMED")
    if cursor:
        query = query.where(_SUBSCRIBERS.c.id > cursor)
    subscribers = session.scalars(query.order_by(_SUBSCRIBERS.c.id).limit(size)).all()
    if not subscribers:
        return
    time = session.scalar(select(now()))
    assert time is not None
    session.execute(
        insert(_EMAILS),
        [
            {
                "id": uuid4(),
                "kind": "WEEKLY",
                "mailing_id": mailing_id,
                "subscriber_id": subscriber_id,
                "state": "SENDING",
                "owner": owner,
                "lease_until": time + int(lease_seconds * SECOND),
                "attempts": 1,
            }
            for subscriber_id in subscribers
        ],
    )
    session.execute(update(_MAILINGS).where(_MAILINGS.c.id == mailing_id).values(cursor_id=subscribers[-1]))


def _readers(session: Session, mailing_id: UUID, owner: UUID) -> list[Reader]:
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
        .where(_EMAILS.c.mailing_id == mailing_id, _EMAILS.c.owner == owner, _EMAILS.c.state == "SENDING")
    )
    return [
        Reader(
            EmailClaim(row.id, "WEEKLY", 1, None, None, mailing_id, row.subscriber_id, owner, row.attempts),
            row.email,
            row.locale,
            row.token_version,
        )
        for row in rows
    ]
