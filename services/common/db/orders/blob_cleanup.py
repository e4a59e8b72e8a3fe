"""Statements about images that have ended, and blobs of theirs that a worker killed at that moment may have left."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import Image
from services.common.domain.orders import RETRIABLE, ImageState, result_key, source_key


@dataclass(frozen=True)
class Untidied:
    """An image that may have left blobs, and the keys of those that it must not have."""

    image_id: UUID
    keys: Sequence[str]


def untidied(session: Session, *, older_than: float, limit: int) -> list[Untidied]:
    """Images that ended so many seconds ago, and were not looked at since."""
    rows = session.execute(
        select(Image.id, Image.order_id, Image.position, Image.state, Image.reason, Image.dropped)
        .where(~Image.tidied, Image.finished_at < now() - int(older_than * SECOND))
        .limit(limit)
    )
    return [
        Untidied(row.id, surplus_keys(row.order_id, row.position, row.state, row.reason, dropped=row.dropped))
        for row in rows
    ]


def surplus_keys(order_id: UUID, position: int, state: str, reason: str | None, *, dropped: bool = False) -> list[str]:
    """Keys of blobs that an image in this final state does not need."""
    kept = state == ImageState.FAILED and reason in RETRIABLE and not dropped
    source = [] if kept else [source_key(order_id, position)]
    return source if state == ImageState.SUCCEEDED else [*source, result_key(order_id, position)]


def surplus_of(session: Session, image_id: UUID) -> list[str]:
    """Keys of blobs that an image does not need which was cancelled or has failed; none of others."""
    image = session.get(Image, image_id)
    if image is None or image.state not in {ImageState.CANCELLED, ImageState.FAILED}:
        return []
    return surplus_keys(image.order_id, image.position, image.state, image.reason, dropped=image.dropped)


def tidied(session: Session, image_ids: Sequence[UUID]) -> None:
    """Their blobs are as they should be."""
    # Over many orders, none of which is locked: see the outbox.
    free = select(Image.id).where(Image.id.in_(image_ids)).with_for_update(skip_locked=True).cte()
    session.execute(
        update(Image)
        .where(Image.id.in_(select(free.c.id)))
        .values(tidied=True)
        .execution_options(synchronize_session=False)
    )
