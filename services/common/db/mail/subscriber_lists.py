"""Statements about many subscribers: counted, listed, imported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from services.common.db import pages
from services.common.db.clock import SECOND, now
from services.common.db.models import Email, Subscriber
from services.common.db.upsert import insert_all_if_absent
from services.common.domain.mail import EmailKind, EmailState, SubscriberState

CONFIRMATIONS_PER_SECOND = 10
"""Confirmation e-mails of an import, which must not delay others."""


@dataclass(frozen=True, kw_only=True)
class SubscriberCounts:
    """Subscribers by state, confirmed ones by language, suppressed ones by reason."""

    states: Mapping[str, int]
    locales: Mapping[str, int]
    suppressions: Mapping[str, int]
    with_time_zone: int


@dataclass(frozen=True, kw_only=True)
class NewSubscriber:
    """An address to import; `consent_at` is set if the consent is attested."""

    email: str
    email_key: str
    locale: str
    time_zone: str | None
    source: str
    consent_at: int | None


@dataclass(kw_only=True)
class ImportCounts:
    """What an import has done so far."""

    confirmed: int = 0
    asked: int = 0
    unchanged: int = 0
    suppressed: int = 0
    unsubscribed: int = 0
    rejected: int = 0
    rejected_lines: list[tuple[int, str]] = field(default_factory=list)
    """The first of them: number and message."""


def count(session: Session) -> SubscriberCounts:
    """Count all subscribers."""
    states = select(Subscriber.state, func.count()).group_by(Subscriber.state)
    confirmed = Subscriber.state == SubscriberState.CONFIRMED
    locales = select(Subscriber.locale, func.count()).where(confirmed).group_by(Subscriber.locale)
    suppressions = (
        select(Subscriber.suppression, func.count())
        .where(Subscriber.state == SubscriberState.SUPPRESSED, Subscriber.suppression.is_not(None))
        .group_by(Subscriber.suppression)
    )
    with_zone = select(func.count()).where(confirmed, Subscriber.time_zone.is_not(None))
    return SubscriberCounts(
        states={str(name): int(number) for name, number in session.execute(states)},
        locales={str(name): int(number) for name, number in session.execute(locales)},
        suppressions={str(name): int(number) for name, number in session.execute(suppressions)},
        with_time_zone=session.scalar(with_zone) or 0,
    )


def list_page(
    session: Session, *, after: str | None, limit: int, state: SubscriberState | None = None, search: str = ""
) -> Sequence[Subscriber]:
    """Return subscribers by address; `after`: the key of the last one of the page before."""
    query = select(Subscriber)
    if state:
        query = query.where(Subscriber.state == state)
    if search:
        query = query.where(Subscriber.email_key.contains(search.casefold(), autoescape=True))
    position = (after,) if after is not None else None
    return session.scalars(pages.page(query, Subscriber.email_key, after=position, limit=limit)).all()


def import_rows(session: Session, rows: Sequence[NewSubscriber], counts: ImportCounts) -> None:
    """Subscribe addresses of an import, none of which is listed twice, and count them.

    Those whose consent is attested are confirmed; to the others confirmation e-mails are due, one after the other.
    Suppressed ones stay suppressed, and those who have unsubscribed stay out.
    """
    query = select(Subscriber).where(Subscriber.email_key.in_([row.email_key for row in rows])).with_for_update()
    existing = {subscriber.email_key: subscriber for subscriber in session.scalars(query)}
    time = session.scalar(select(now()))
    assert time is not None
    new: list[NewSubscriber] = []
    for row in rows:
        subscriber = existing.get(row.email_key)
        if subscriber is None:
            new.append(row)
        elif subscriber.state == SubscriberState.SUPPRESSED:
            counts.suppressed += 1
        elif subscriber.state == SubscriberState.UNSUBSCRIBED:
            counts.unsubscribed += 1
        elif subscriber.state == SubscriberState.PENDING and row.consent_at is not None:
            _confirm(subscriber, row, time)
            counts.confirmed += 1
        else:
            counts.unchanged += 1
    session.flush()
    values = [_values(row, time) for row in new]
    inserted = insert_all_if_absent(session, Subscriber, values)
    counts.unchanged += len(new) - len(inserted)  # subscribed by another transaction meanwhile
    to_ask = [it["id"] for it in values if it["state"] == SubscriberState.PENDING and it["id"] in inserted]
    counts.confirmed += len(inserted) - len(to_ask)
    _ask(session, to_ask, begin=time + counts.asked * SECOND // CONFIRMATIONS_PER_SECOND)
    counts.asked += len(to_ask)


def _values(row: NewSubscriber, time: int) -> dict[str, Any]:
    attested = row.consent_at is not None
    return {
        "id": uuid4(),
        "email_key": row.email_key,
        "email": row.email,
        "locale": row.locale,
        "state": SubscriberState.CONFIRMED if attested else SubscriberState.PENDING,
        "token_version": 1,
        "confirmed_at": time if attested else None,
        "created_at": time,
        "time_zone": row.time_zone,
        "source": row.source,
        "consent_at": row.consent_at,
        "soft_bounces": 0,
    }


def _confirm(subscriber: Subscriber, row: NewSubscriber, time: int) -> None:
    subscriber.state, subscriber.confirmed_at = SubscriberState.CONFIRMED, time
    # Its owner has not answered an e-mail, and so it counts as no mailbox that wants results.
    subscriber.confirm_sent_at = None
    subscriber.locale, subscriber.source, subscriber.consent_at = row.locale, row.source, row.consent_at
    subscriber.time_zone = row.time_zone or subscriber.time_zone


def _ask(session: Session, subscriber_ids: Sequence[UUID], *, begin: int) -> None:
    """Insert confirmation e-mails that the sweep enqueues when they are due."""
    if not subscriber_ids:
        return
    emails = [
        {
            "id": uuid4(),
            "kind": EmailKind.CONFIRM,
            "subscriber_id": subscriber_id,
            "state": EmailState.QUEUED,
            "not_before": begin + index * SECOND // CONFIRMATIONS_PER_SECOND,
        }
        for index, subscriber_id in enumerate(subscriber_ids)
    ]
    session.execute(insert(Email), emails)
    last = begin + len(emails) * SECOND // CONFIRMATIONS_PER_SECOND
    # Not asked again before the e-mail has been sent.
    session.execute(update(Subscriber).where(Subscriber.id.in_(subscriber_ids)).values(confirm_sent_at=last))
