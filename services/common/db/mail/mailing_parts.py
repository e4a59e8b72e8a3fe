"""Statements about the parts of a mailing that is sent by each reader's clock: one for each time zone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, insert, or_, select, true, update
from sqlalchemy.orm import Session

from services.common.db.clock import from_datetime, to_datetime
from services.common.db.models import Email, MailingPart, Subscriber, table
from services.common.domain.mail import SubscriberState
from services.common.domain.mailing_times import SendingWindow, local_instant
from services.common.domain.time_zones import find_zone

REST = "*"
"""The part of all that have no e-mail yet, after the last zone: who has changed their zone meanwhile."""
NO_ZONE = ""

_PARTS, _SUBSCRIBERS, _EMAILS = table(MailingPart), table(Subscriber), table(Email)


@dataclass(frozen=True, kw_only=True)
class DuePart:
    """A part of which e-mails may be sent now."""

    time_zone: str
    cursor_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class ReaderClocks:
    """Whose window is open at a time, by their zones."""

    window: SendingWindow | None
    fallback: str | None
    now: datetime

    def seconds_left(self, time_zone: str | None) -> float | None:
        """Return how long the window of a zone is open yet, 0 if it is closed; None without a window."""
        if self.window is None:
            return None
        closes_at = self.window.closes_at(self.now, find_zone(time_zone, fallback=self.fallback))
        return (closes_at - self.now).total_seconds() if closes_at else 0.0

    def opens_at(self, time_zone: str | None) -> datetime:
        """Return when the window of a zone is open next; now, if it is or there is none."""
        if self.window is None:
            return self.now
        return self.window.opens_at(self.now, find_zone(time_zone, fallback=self.fallback))


def insert_parts(session: Session, mailing_id: UUID, local_time: datetime, fallback: str | None) -> None:
    """Insert a part for each zone that a confirmed subscriber has, one for those without, and one for the rest."""
    zones = session.scalars(
        select(Subscriber.time_zone).where(Subscriber.state == SubscriberState.CONFIRMED).distinct()
    ).all()
    due = {
        zone or NO_ZONE: from_datetime(local_instant(local_time, find_zone(zone, fallback=fallback))) for zone in zones
    }
    due.setdefault(NO_ZONE, from_datetime(local_instant(local_time, find_zone(None, fallback=fallback))))
    due[REST] = max(due.values())
    session.execute(
        insert(MailingPart),
        [{"mailing_id": mailing_id, "time_zone": zone, "not_before": at, "ended": False} for zone, at in due.items()],
    )


def list_due(session: Session, mailing_id: UUID, clocks: ReaderClocks) -> list[DuePart]:
    """Return the parts that are due, the rest last; those whose window is closed become due when it opens."""
    rows = session.execute(
        select(_PARTS.c.time_zone, _PARTS.c.cursor_id)
        .where(
            _PARTS.c.mailing_id == mailing_id,
            _PARTS.c.ended.is_(False),
            _PARTS.c.not_before <= from_datetime(clocks.now),
        )
        .order_by(_PARTS.c.not_before)
    ).all()
    due = []
    for row in sorted(rows, key=lambda row: row.time_zone == REST):
        zone = None if row.time_zone == REST else row.time_zone
        opens_at = clocks.opens_at(zone)
        if opens_at > clocks.now:
            _set(session, mailing_id, row.time_zone, not_before=from_datetime(opens_at))
        elif row.time_zone != REST or not _others_open(session, mailing_id):
            due.append(DuePart(time_zone=row.time_zone, cursor_id=row.cursor_id))
    return due


def next_subscribers(session: Session, mailing_id: UUID, part: DuePart, *, size: int) -> Sequence[UUID]:
    """Return the next subscribers of a part without an e-mail, and move its cursor; fewer than `size`: it has ended."""
    query = select(_SUBSCRIBERS.c.id).where(
        _SUBSCRIBERS.c.state == SubscriberState.CONFIRMED,
        _of_part(part.time_zone),
        # Who has changed their zone may be in two parts.
        ~exists().where(_EMAILS.c.mailing_id == mailing_id, _EMAILS.c.subscriber_id == _SUBSCRIBERS.c.id),
    )
    if part.cursor_id:
        query = query.where(_SUBSCRIBERS.c.id > part.cursor_id)
    found = session.scalars(query.order_by(_SUBSCRIBERS.c.id).limit(size)).all()
    cursor = found[-1] if found else part.cursor_id
    _set(session, mailing_id, part.time_zone, cursor_id=cursor, ended=len(found) < size)
    return found


def in_open_windows(session: Session, mailing_id: UUID, clocks: ReaderClocks) -> ColumnElement[bool]:
    """Return the condition that a subscriber's window is open."""
    if clocks.window is None:
        return true()
    zones = session.scalars(select(_PARTS.c.time_zone).where(_PARTS.c.mailing_id == mailing_id)).all()
    known = [zone for zone in zones if zone != REST]
    open_now = [zone for zone in known if clocks.seconds_left(zone)]
    zone = func.coalesce(_SUBSCRIBERS.c.time_zone, NO_ZONE)
    if clocks.seconds_left(None):
        return or_(zone.in_(open_now), zone.not_in(known))
    return zone.in_(open_now)


def has_open_part(mailing_id: ColumnElement[UUID], *, due_by: ColumnElement[int] | None = None) -> ColumnElement[bool]:
    """Return the condition that a mailing has a part that has not ended, and is due."""
    is_open = and_(MailingPart.mailing_id == mailing_id, MailingPart.ended.is_(False))
    return exists().where(is_open if due_by is None else and_(is_open, MailingPart.not_before <= due_by))


def clocks_of(mailing: object, now: int) -> ReaderClocks:
    """Return the clocks of a mailing's row at a time."""
    begin, end = getattr(mailing, "window_begin", None), getattr(mailing, "window_end", None)
    window = SendingWindow(begin=begin, end=end) if begin is not None and end is not None else None
    return ReaderClocks(window=window, fallback=getattr(mailing, "time_zone", None), now=to_datetime(now))


def _of_part(time_zone: str) -> ColumnElement[bool]:
    if time_zone == REST:
        return true()
    if time_zone == NO_ZONE:
        return _SUBSCRIBERS.c.time_zone.is_(None)
    return _SUBSCRIBERS.c.time_zone == time_zone


def _others_open(session: Session, mailing_id: UUID) -> bool:
    others = exists().where(_PARTS.c.mailing_id == mailing_id, _PARTS.c.ended.is_(False), _PARTS.c.time_zone != REST)
    return bool(session.scalar(select(others)))


def _set(session: Session, mailing_id: UUID, time_zone: str, **values: object) -> None:
    session.execute(
        update(_PARTS).where(_PARTS.c.mailing_id == mailing_id, _PARTS.c.time_zone == time_zone).values(**values)
    )
