"""Statements about blobs that no order owns: of running uploads, and of orders that are gone.

A row exists from before the first blob of an upload is written until its order is committed; and from the commit that
ends an order until its last blob is removed. So whichever process is killed when, every blob can be found by a row.

Blobs are removed twice: at once, and when no worker is left that was working on an image then and stores its result
late.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Update, bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import UnownedBlobs, sql_literal, table
from services.common.db.upsert import insert_or_update
from services.common.domain.orders import LATE_SECONDS, UnownedBlobsState

_UNOWNED = table(UnownedBlobs)
_INSERT = insert(_UNOWNED).values(state=UnownedBlobsState.UPLOADING, heartbeat_at=now())
_DELETE_UPLOAD = (
    delete(_UNOWNED)
    .where(_UNOWNED.c.order_id == bindparam("adopted_id"), _UNOWNED.c.state == UnownedBlobsState.UPLOADING)
    .returning(_UNOWNED.c.order_id)
)
_DUE_AGAIN = (_UNOWNED.c.state == sql_literal(UnownedBlobsState.REMOVED)) & (_UNOWNED.c.check_again_at < now())
_DELETE_REMOVED_TWICE = delete(_UNOWNED).where(_UNOWNED.c.order_id == bindparam("removed_id"), _DUE_AGAIN)
_MARK_REMOVED = (
    update(_UNOWNED)
    .where(_UNOWNED.c.order_id == bindparam("removed_id"), _UNOWNED.c.state == UnownedBlobsState.REMOVING)
    .values(state=UnownedBlobsState.REMOVED, check_again_at=now() + int(LATE_SECONDS * SECOND))
)


def insert_upload(session: Session, order_id: UUID) -> None:
    """Insert the row of an upload; until its order is stored, the blobs are kept only while heartbeats come."""
    session.execute(_INSERT, {"order_id": order_id})


def renew_upload(session: Session, order_id: UUID) -> None:
    """Record a heartbeat: the upload goes on."""
    session.execute(_update_upload(order_id).values(heartbeat_at=now()))


def adopt_blobs(session: Session, order_id: UUID) -> bool:
    """Hand the blobs over to their order, which this transaction stores; False if they are already to be removed."""
    return session.scalar(_DELETE_UPLOAD, {"adopted_id": order_id}) is not None


def mark_for_removal(session: Session, *order_ids: UUID) -> None:
    """Have the blobs removed of orders that end by this transaction, or are gone."""
    # Workers that finish images of an order that is gone may do so at the same moment.
    values = {"state": UnownedBlobsState.REMOVING, "heartbeat_at": now(), "check_again_at": None}
    if order_ids:
        insert_or_update(session, UnownedBlobs, values, [{"order_id": order_id} for order_id in sorted(order_ids)])


def list_removable(session: Session, *, silent_seconds: float, limit: int) -> Sequence[UUID]:
    """Return orders whose blobs are to be removed; uploads without a heartbeat for too long become such."""
    # Each by its partial index: after a mass expiry there are many rows that are not due.
    session.execute(
        update(UnownedBlobs)
        .where(
            UnownedBlobs.state == sql_literal(UnownedBlobsState.UPLOADING),
            UnownedBlobs.heartbeat_at <= now() - int(silent_seconds * SECOND),
        )
        .values(state=UnownedBlobsState.REMOVING)
    )
    found: list[UUID] = []
    for due in (UnownedBlobs.state == sql_literal(UnownedBlobsState.REMOVING), _DUE_AGAIN):
        found += session.scalars(select(UnownedBlobs.order_id).where(due).limit(limit - len(found)))
    return found


def mark_upload_failed(session: Session, order_id: UUID) -> bool:
    """Have the blobs of a failed upload removed; False if its order is stored, and owns them."""
    failed = _update_upload(order_id).values(state=UnownedBlobsState.REMOVING).returning(UnownedBlobs.order_id)
    return session.scalar(failed) is not None


def delete_upload(session: Session, order_id: UUID) -> None:
    """Delete the row of a failed upload whose blobs are removed: no worker ever knew of them."""
    session.execute(delete(UnownedBlobs).where(UnownedBlobs.order_id == order_id))


def mark_removed(session: Session, *order_ids: UUID) -> None:
    """Record that the blobs were removed: for the first time, to be removed again later, or for good."""
    each = [{"removed_id": order_id} for order_id in sorted(order_ids)]  # two sweeps at once lock them in one order
    session.execute(_DELETE_REMOVED_TWICE, each)
    session.execute(_MARK_REMOVED, each)


def _update_upload(order_id: UUID) -> Update:
    return update(UnownedBlobs).where(
        UnownedBlobs.order_id == order_id, UnownedBlobs.state == UnownedBlobsState.UPLOADING
    )
