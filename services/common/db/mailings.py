"""Statements about mailings to all subscribers."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from services.common.db import letters
from services.common.db.clock import now
from services.common.db.models import Installation, Mailing, Order, Subscriber


def installed_at(session: Session) -> int:
    """When this database was made, microseconds since 1970."""
    return session.scalars(select(Installation.installed_at)).one()


def insert_mailing(session: Session, *, period: str, due_at: int, content: str) -> UUID | None:
    """A mailing to be prepared; None if its period has one: the unique period decides who sends it."""
    mailing = Mailing(
        id=uuid4(),
        period=period,
        state="PREPARING",
        content=content,
        due_at=due_at,
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


def prepare_batch(session: Session, mailing_id: UUID, *, size: int) -> list[UUID] | None:
    """Write the letters for the next subscribers; their ids, or None once the mailing is prepared."""
    # The update locks the row: two mailers that were given the same mailing take turns, batch by batch.
    mailing = session.scalar(
        update(Mailing)
        .where(Mailing.id == mailing_id, Mailing.state == "PREPARING")
        .values(enqueued_at=now())
        .returning(Mailing)
        .execution_options(synchronize_session=False)
    )
    if mailing is None:
        return None
    query = select(Subscriber.id).where(Subscriber.state == "CONFIRMED").order_by(Subscriber.id).limit(size)
    if mailing.cursor_id:
        query = query.where(Subscriber.id > mailing.cursor_id)
    subscribers: Sequence[UUID] = session.scalars(query).all()
    if not subscribers:
        mailing.state = "SENDING"
        return None
    mailing.cursor_id = subscribers[-1]
    return letters.insert_weekly(session, mailing_id, subscribers)


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
