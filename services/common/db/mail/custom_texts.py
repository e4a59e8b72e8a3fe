"""Statements about operators' own texts of e-mails."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from services.common.db.clock import now
from services.common.db.models import CustomText
from services.common.db.upsert import insert_or_update


def list_all(session: Session) -> Sequence[CustomText]:
    """Return all texts, by name."""
    return session.scalars(select(CustomText).order_by(CustomText.name)).all()


def latest_change(session: Session) -> tuple[int, int]:
    """Return what differs after every change: the time of the last one, and the number of texts."""
    row = session.execute(select(func.max(CustomText.updated_at), func.count())).one()
    return int(row[0] or 0), int(row[1])


def get(session: Session, name: str) -> CustomText | None:
    """Return a text, if there is one of its own."""
    return session.get(CustomText, name)


def set_text(session: Session, name: str, text: str, *, by: str, revision: int | None = None) -> CustomText | None:
    """Store a text; None if its revision is another than the given one."""
    current = session.get(CustomText, name, with_for_update=True)
    found = current.revision if current else 0
    if revision is not None and revision != found:
        return None
    values = {
        "name": name,
        "text": text,
        "revision": found + 1,
        "updated_at": session.scalar(select(now())),
        "updated_by": by,
    }
    insert_or_update(session, CustomText, values)
    session.expire_all()
    return session.get(CustomText, name)


def delete_text(session: Session, name: str) -> bool:
    """Delete a text; False if there was none."""
    deleted = delete(CustomText).where(CustomText.name == name).returning(CustomText.name)
    return session.scalar(deleted) is not None
