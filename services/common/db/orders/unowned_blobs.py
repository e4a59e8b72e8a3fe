"""Statements about blobs that no order owns: of uploads under way, and of orders that are gone.

A row here stands before the first blob of an upload is written and until its order is committed; and from the commit
that ends an order until its last blob is removed. So whatever is killed when, every blob has a row that leads to it.

Blobs are removed twice: at once, and when no worker can be left that was at work on an image then and stores its result
late.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Update, bindparam, delete, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import UnownedBlobs, table
from services.common.domain.orders import LATE_SECONDS

_GIVEN_UP = -1

_UNOWNED = table(UnownedBlobs)
_BEGIN = insert(_UNOWNED).values(heartbeat_at=now())
_ADOPT = (
    delete(_UNOWNED)
    .where(_UNOWNED.c.order_id == bindparam("adopted_id"), _UNOWNED.c.heartbeat_at > _GIVEN_UP)
    .returning(_UNOWNED.c.order_id)
)
_DUE_AGAIN = (UnownedBlobs.heartbeat_at < _GIVEN_UP) & (-UnownedBlobs.heartbeat_at < now())


def begin_upload(session: Session, order_id: UUID) -> None:
    """An upload begins; until it is adopted, its blobs are kept only as long as its heartbeat lasts."""
    session.execute(_BEGIN, {"order_id": order_id})


def heartbeat(session: Session, order_id: UUID) -> None:
    """The upload goes on."""
    session.execute(_alive(order_id).values(heartbeat_at=now()))


def adopt(session: Session, order_id: UUID) -> bool:
    """The order that owns the blobs is stored by this transaction; False if they had been given up for dead."""
    adopted = session.scalar(_ADOPT, {"adopted_id": order_id})
    return adopted is not None


def disown(session: Session, order_id: UUID) -> None:
    """The order of these blobs ends by this transaction."""
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    # Workers that come back late to an order that is gone say so at the same moment.
    new = dialect.insert(UnownedBlobs).values(order_id=order_id, heartbeat_at=_GIVEN_UP)
    session.execute(new.on_conflict_do_update(index_elements=["order_id"], set_={"heartbeat_at": _GIVEN_UP}))


def give_up(session: Session, *, silent_seconds: float, limit: int) -> Sequence[UUID]:
    """Orders whose blobs are to be removed: disowned, or uploads that have been silent for too long."""
    session.execute(
        update(UnownedBlobs)
        .where(UnownedBlobs.heartbeat_at.between(0, now() - int(silent_seconds * SECOND)))
        .values(heartbeat_at=_GIVEN_UP)
    )
    due = or_(UnownedBlobs.heartbeat_at == _GIVEN_UP, _DUE_AGAIN)
    return session.scalars(select(UnownedBlobs.order_id).where(due).limit(limit)).all()


def abandon(session: Session, order_id: UUID) -> bool:
    """The upload has failed: nobody may own its blobs any more. False if its order is stored, and owns them."""
    abandoned = session.scalar(_alive(order_id).values(heartbeat_at=_GIVEN_UP).returning(UnownedBlobs.order_id))
    return abandoned is not None


def forget(session: Session, order_id: UUID) -> None:
    """The blobs of a failed upload are gone: no worker ever knew of them."""
    session.execute(delete(UnownedBlobs).where(UnownedBlobs.order_id == order_id))


def removed(session: Session, order_id: UUID) -> None:
    """The blobs are gone: for the first time, or for good."""
    session.execute(delete(UnownedBlobs).where(UnownedBlobs.order_id == order_id, _DUE_AGAIN))
    session.execute(
        update(UnownedBlobs)
        .where(UnownedBlobs.order_id == order_id, UnownedBlobs.heartbeat_at == _GIVEN_UP)
        .values(heartbeat_at=-(now() + int(LATE_SECONDS * SECOND)))
    )


def _alive(order_id: UUID) -> Update:
    return update(UnownedBlobs).where(UnownedBlobs.order_id == order_id, UnownedBlobs.heartbeat_at > _GIVEN_UP)
