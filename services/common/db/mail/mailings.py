"""Statements about mailings: each one issue of the newsletter, to all confirmed subscribers."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, from_datetime, now
from services.common.db.mail import mailing_parts
from services.common.db.models import Email, Installation, Mailing, Order, Subscriber
from services.common.domain.mail import OPEN_EMAIL_STATES, EmailState, MailingState, SubscriberState
from services.common.domain.mailing_times import MailingPlan
from services.common.domain.retries import MAILING_RETRIES

AT_ONCE = MailingPlan()
_OPEN = (MailingState.SENDING, MailingState.HELD)


@dataclass(frozen=True, kw_only=True)
class MailingProgress:
    """A mailing and its e-mails by state."""

    mailing: Mailing
    emails: Mapping[str, int]
    """E-mails are inserted as they are claimed: until the mailing is DONE some subscribers have none yet."""
    reports: Mapping[str, int]
    """Its e-mails that were reported, by `MailReportKind`."""


@dataclass(frozen=True, kw_only=True)
class ServiceNumbers:
    """What the service did in a period: orders finished, images blurred and failed."""

    orders: int
    images: int
    failed: int


def installed_at(session: Session) -> int:
    """Return when this database was made, in microseconds since 1970."""
    return session.scalars(select(Installation.installed_at)).one()


def insert_mailing(
    session: Session, *, period: str, due_at: int, content: str, plan: MailingPlan = AT_ONCE
) -> UUID | None:
    """Insert a mailing and return its id; None if the period, which is unique, has one already.

    One that is planned for a time waits for `start_scheduled`.
    """
    time = session.scalar(select(now()))
    begins_at = plan.begins_at
    confirmed = select(func.count()).where(Subscriber.state == SubscriberState.CONFIRMED)
    mailing = Mailing(
        id=uuid4(),
        period=period,
        state=MailingState.HELD if begins_at else MailingState.SENDING,
        content=content,
        due_at=from_datetime(begins_at) if begins_at else due_at,
        recipients=session.scalar(confirmed) or 0,
        created_at=time,
        enqueued_at=time,
        started_at=None if begins_at else time,
        local_time=plan.local_time.isoformat(timespec="minutes") if plan.local_time else None,
        time_zone=plan.time_zone,
        window_begin=plan.window.begin if plan.window else None,
        window_end=plan.window.end if plan.window else None,
        per_hour=plan.per_hour,
    )
    try:
        with session.begin_nested():
            session.add(mailing)
    except IntegrityError:
        return None
    return mailing.id


def find_by_period(session: Session, period: str) -> UUID | None:
    """Return the mailing of a period, if it has one."""
    return session.scalar(select(Mailing.id).where(Mailing.period == period))


def list_to_start(session: Session) -> Sequence[Mailing]:
    """Return scheduled mailings whose time has come, and lock them."""
    due = (Mailing.state == MailingState.HELD, Mailing.paused_at.is_(None), Mailing.due_at <= now())
    return session.scalars(select(Mailing).where(*due).with_for_update(skip_locked=True)).all()


def start(session: Session, mailing: Mailing, content: str) -> None:
    """Begin to send a scheduled mailing, with its content as of now."""
    confirmed = select(func.count()).where(Subscriber.state == SubscriberState.CONFIRMED)
    if mailing.local_time:
        local_time = datetime.fromisoformat(mailing.local_time)
        mailing_parts.insert_parts(session, mailing.id, local_time, mailing.time_zone)
    mailing.content, mailing.recipients = content, session.scalar(confirmed) or 0
    mailing.state, mailing.started_at = MailingState.SENDING, session.scalar(select(now()))


def pause(session: Session, mailing_id: UUID) -> bool:
    """Pause a mailing until it is resumed; False if it has ended. An e-mail that is being sent may still arrive."""
    time = session.scalar(select(now()))
    mailing = session.get(Mailing, mailing_id, with_for_update=True)
    if mailing is None or mailing.state not in _OPEN:
        return False
    if mailing.paused_at is None:
        if mailing.state == MailingState.SENDING:
            mailing.started_at = mailing.started_at or time
        mailing.state, mailing.paused_at = MailingState.HELD, time
    return True


def resume(session: Session, mailing_id: UUID) -> bool:
    """Resume a paused mailing; False if it has ended."""
    mailing = session.get(Mailing, mailing_id, with_for_update=True)
    if mailing is None or mailing.state not in _OPEN:
        return False
    if mailing.paused_at is not None:
        mailing.paused_at = None
        mailing.state = MailingState.SENDING if mailing.started_at else MailingState.HELD
    return True


def has_mailing(session: Session, period: str) -> bool:
    """Return whether the period has its mailing."""
    return session.scalar(select(Mailing.id).where(Mailing.period == period)) is not None


def pause_mailing(session: Session, mailing_id: UUID, message: str) -> None:
    """Start no batch for a while, because the mail server accepts no e-mails; each failure in a row pauses longer."""
    mailing = session.get(Mailing, mailing_id, with_for_update=True)
    if mailing is None:
        return
    mailing.troubles += 1
    pause = MAILING_RETRIES.delay(mailing.troubles)
    mailing.not_before = (session.scalar(select(now())) or 0) + int(pause * SECOND)
    mailing.message = message


def clear_failures(session: Session, mailing_id: UUID) -> None:
    """Record that the mail server accepts e-mails again."""
    session.execute(update(Mailing).where(Mailing.id == mailing_id).values(troubles=0, not_before=0, message=None))


def cancel_mailing(session: Session, mailing_id: UUID) -> bool:
    """Cancel a mailing; False if it has ended already. An e-mail that is being sent may still arrive."""
    cancelled = session.scalar(
        update(Mailing)
        .where(Mailing.id == mailing_id, Mailing.state.in_(_OPEN))
        .values(state=MailingState.CANCELLED, finished_at=now())
        .returning(Mailing.id)
    )
    if cancelled:
        _cancel_queued_emails(session)
    return cancelled is not None


def list_sending(session: Session) -> Sequence[UUID]:
    """Return the mailings that are being sent, or will be."""
    return session.scalars(select(Mailing.id).where(Mailing.state.in_(_OPEN))).all()


def list_recent(session: Session, *, limit: int = 20) -> list[MailingProgress]:
    """Return the newest mailings."""
    mailings = session.scalars(select(Mailing).order_by(Mailing.created_at.desc()).limit(limit)).all()
    counts: defaultdict[UUID, dict[str, int]] = defaultdict(dict)
    rows = session.execute(
        select(Email.mailing_id, Email.state, func.count())
        .where(Email.mailing_id.in_([mailing.id for mailing in mailings]))
        .group_by(Email.mailing_id, Email.state)
    )
    for mailing_id, state, count in rows:
        assert mailing_id
        counts[mailing_id][state] = count
    reports: defaultdict[UUID, Counter[str]] = defaultdict(Counter)
    reported = session.execute(
        select(Email.mailing_id, Email.report, func.count())
        .where(Email.mailing_id.in_([mailing.id for mailing in mailings]), Email.report.is_not(None))
        .group_by(Email.mailing_id, Email.report)
    )
    for mailing_id, report, count in reported:
        assert mailing_id
        assert report
        reports[mailing_id][report] = count
    return [
        MailingProgress(mailing=mailing, emails=counts[mailing.id], reports=reports[mailing.id]) for mailing in mailings
    ]


def list_sendable(session: Session) -> Sequence[UUID]:
    """Return the mailings of which e-mails could be sent now."""
    due = exists().where(Email.mailing_id == Mailing.id, Email.state == EmailState.QUEUED, Email.not_before <= now())
    return session.scalars(
        select(Mailing.id).where(
            Mailing.state == MailingState.SENDING,
            Mailing.not_before <= now(),
            or_(due, _has_subscribers_left(due_by=now())),
        )
    ).all()


def finish_mailings(session: Session) -> None:
    """End mailings whose e-mails have all been inserted and have ended.

    For the sweep: of two e-mails that end at the same moment, each transaction still finds the other one open.
    """
    still_open = exists().where(Email.mailing_id == Mailing.id, Email.state.in_(OPEN_EMAIL_STATES))
    session.execute(
        update(Mailing)
        .where(Mailing.state == MailingState.SENDING, ~still_open, ~_has_subscribers_left())
        .values(state=MailingState.DONE, finished_at=now())
    )
    _cancel_queued_emails(session)


def count_since(session: Session, since: int) -> ServiceNumbers:
    """Return what the service did since a time (microseconds since 1970)."""
    succeeded, failed = func.coalesce(func.sum(Order.succeeded), 0), func.coalesce(func.sum(Order.failed), 0)
    row = session.execute(select(func.count(), succeeded, failed).where(Order.finished_at >= since)).one()
    return ServiceNumbers(orders=int(row[0]), images=int(row[1]), failed=int(row[2]))


def _has_subscribers_left(*, due_by: ColumnElement[int] | None = None) -> ColumnElement[bool]:
    """Whether there are confirmed subscribers that have no e-mail of the mailing yet, and may get it by a time."""
    after_cursor = or_(Mailing.cursor_id.is_(None), Subscriber.id > Mailing.cursor_id)
    left = exists().where(Subscriber.state == SubscriberState.CONFIRMED, after_cursor)
    part_left = mailing_parts.has_open_part(Mailing.id.expression, due_by=due_by)
    return or_(and_(Mailing.local_time.is_(None), left), and_(Mailing.local_time.is_not(None), part_left))


def _cancel_queued_emails(session: Session) -> None:
    """Cancel queued e-mails of cancelled mailings, those included that a mailer has queued again since."""
    cancelled = select(Mailing.id).where(Mailing.state == MailingState.CANCELLED)
    session.execute(
        update(Email)
        .where(Email.state == EmailState.QUEUED, Email.mailing_id.in_(cancelled))
        .values(state=EmailState.CANCELLED)
    )
