"""Statements about mailings to all subscribers."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import Email, Installation, Mailing, Order, Subscriber
from services.common.domain.mail import MailingState
from services.common.domain.retries import MAILING_RETRIES


@dataclass(frozen=True)
class Progress:
    """How a mailing stands."""

    mailing: Mailing
    emails: dict[str, int]
    """By state. E-mails are written as they are sent: until the mailing is DONE some subscribers have none yet."""


def installed_at(session: Session) -> int:
    """When this database was made, microseconds since 1970."""
    return session.scalars(select(Installation.installed_at)).one()


def insert_mailing(session: Session, *, period: str, due_at: int, content: str) -> UUID | None:
    """A mailing to be sent; None if its period has one: the unique period decides who sends it."""
    confirmed = select(func.count()).where(Subscriber.state == "CONFIRMED")
    mailing = Mailing(
        id=uuid4(),
        period=period,
        state="SENDING",
        content=content,
        due_at=due_at,
        recipients=session.scalar(confirmed) or 0,
        created_at=session.scalar(select(now())),
        enqueued_at=session.scalar(select(now())),
    )
    try:
        with session.begin_nested():
            session.add(mailing)
    except IntegrityError:
        return None
    return mailing.id


def exists_for(session: Session, period: str) -> bool:
    """Whether the period has its mailing."""
    return session.scalar(select(Mailing.id).where(Mailing.period == period)) is not None


def put_off(session: Session, mailing_id: UUID, message: str) -> None:
    """After a failure of the mail server: no batch for a while, which gets longer with each failure."""
    mailing = session.get(Mailing, mailing_id, with_for_update=True)
    if mailing is None:
        return
    mailing.troubles += 1
    mailing.not_before = (session.scalar(select(now())) or 0) + int(MAILING_RETRIES.delay(mailing.troubles) * SECOND)
    mailing.message = message


def going_well(session: Session, mailing_id: UUID) -> None:
    """The mail server takes e-mails again."""
    session.execute(update(Mailing).where(Mailing.id == mailing_id).values(troubles=0, not_before=0, message=None))


def cancel(session: Session, mailing_id: UUID) -> bool:
    """Send no more of a mailing; False if it has ended already. An e-mail on its way may still arrive."""
    cancelled = session.scalar(
        update(Mailing)
        .where(Mailing.id == mailing_id, Mailing.state == "SENDING")
        .values(state="CANCELLED", finished_at=now())
        .returning(Mailing.id)
        .execution_options(synchronize_session=False)
    )
    if cancelled:
        _cancel_emails(session)
    return cancelled is not None


def list_sending(session: Session) -> Sequence[UUID]:
    """Return the mailings that are being sent."""
    return session.scalars(select(Mailing.id).where(Mailing.state == MailingState.SENDING)).all()


def progress(session: Session, *, limit: int = 20) -> list[Progress]:
    """The newest mailings and how they stand."""
    found = session.scalars(select(Mailing).order_by(Mailing.created_at.desc()).limit(limit)).all()
    counts: defaultdict[UUID, dict[str, int]] = defaultdict(dict)
    rows = session.execute(
        select(Email.mailing_id, Email.state, func.count())
        .where(Email.mailing_id.in_([mailing.id for mailing in found]))
        .group_by(Email.mailing_id, Email.state)
    )
    for mailing_id, state, count in rows:
        assert mailing_id
        counts[mailing_id][state] = count
    return [Progress(mailing, counts[mailing.id]) for mailing in found]


def with_work(session: Session) -> Sequence[UUID]:
    """Mailings of which e-mails could be sent now."""
    due = exists().where(Email.mailing_id == Mailing.id, Email.state == "QUEUED", Email.not_before <= now())
    return session.scalars(
        select(Mailing.id).where(Mailing.state == "SENDING", Mailing.not_before <= now(), or_(due, _unwritten()))
    ).all()


def finish(session: Session) -> None:
    """End mailings whose e-mails have all been written and have ended.

    For the sweep: of two e-mails that end at the same moment, each transaction sees the other's still open.
    """
    still_open = exists().where(Email.mailing_id == Mailing.id, Email.state.in_(("QUEUED", "SENDING")))
    session.execute(
        update(Mailing)
        .where(Mailing.state == "SENDING", ~still_open, ~_unwritten())
        .values(state="DONE", finished_at=now())
        .execution_options(synchronize_session=False)
    )
    _cancel_emails(session)


def numbers_since(session: Session, since: int) -> dict[str, int]:
    """What the service did since a time: orders finished, images blurred and failed."""
    row = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(Order.succeeded), 0),
            func.coalesce(func.sum(Order.failed), 0),
        ).where(Order.finished_at >= since)
    ).one()
    return dict(zip(("orders", "images", "failed"), map(int, row), strict=True))


def _unwritten() -> ColumnElement[bool]:
    """Whether subscribers are left that have no e-mail of the mailing yet."""
    beyond = or_(Mailing.cursor_id.is_(None), Subscriber.id > Mailing.cursor_id)
    return exists().where(Subscriber.state == "CONFIRMED", beyond)


def _cancel_emails(session: Session) -> None:
    """Those that wait of cancelled mailings: also what a mailer put back that was at work on them."""
    cancelled = select(Mailing.id).where(Mailing.state == "CANCELLED")
    session.execute(
        update(Email)
        .where(Email.state == "QUEUED", Email.mailing_id.in_(cancelled))
        .values(state="CANCELLED")
        .execution_options(synchronize_session=False)
    )
