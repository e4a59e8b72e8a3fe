"""Statements about images that have ended, and about their blobs that a killed worker may have left."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import false, select, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import IMAGE_HAS_SURPLUS_BLOBS, Image, Order
from services.common.domain.orders import ImageState, original_key, result_key
from services.common.domain.retries import RETRYABLE


@dataclass(frozen=True, kw_only=True)
class SurplusBlobs:
    """Blobs that an image that has ended must not have any more."""

    image_id: UUID
    keys: Sequence[str]


def list_not_cleaned_up(session: Session, *, older_than: float, limit: int) -> list[SurplusBlobs]:
    """Return the surplus blobs of images that ended so many seconds ago and were not cleaned up since."""
    rows = session.execute(
        select(Image, Order.originals_seconds)
        .join(Order, Order.id == Image.order_id)
        # A value for each column of the index: else SQLite may take that of all images that have ended.
        .where(
            IMAGE_HAS_SURPLUS_BLOBS, Image.cleaned_up == false(), Image.finished_at < now() - int(older_than * SECOND)
        )
        .limit(limit)
    )
    return [
        SurplusBlobs(image_id=image.id, keys=surplus_of(image, keeps_original=originals_seconds > 0))
        for image, originals_seconds in rows
    ]


def surplus_of(image: Image, *, keeps_original: bool) -> list[str]:
    """Return the keys of blobs that an image that has ended does not keep; see `surplus_keys`."""
    return surplus_keys(
        image.order_id,
        image.position,
        image.state,
        image.reason,
        dismissed=image.dismissed,
        keeps_original=keeps_original,
        generation=image.generation,
        next_generation=image.next_generation,
    )


def surplus_keys(
    order_id: UUID,
    position: int,
    state: str,
    reason: str | None,
    *,
    dismissed: bool = False,
    keeps_original: bool = False,
    generation: int = 0,
    next_generation: int = 0,
) -> list[str]:
    """Return the keys of blobs that an image in this final state does not keep.

    The result of its `generation` is kept of images that SUCCEEDED, originals of those that an operator may retry, and
    all that the order keeps for revisions.
    """
    kept = keeps_original or (state == ImageState.FAILED and reason in RETRYABLE and not dismissed)
    source = [] if kept else [original_key(order_id, position)]
    current = generation if state == ImageState.SUCCEEDED else None
    return source + [result_key(order_id, position, each) for each in range(next_generation + 1) if each != current]


def list_surplus_keys(session: Session, order_id: UUID) -> list[str]:
    """Return the keys of blobs that the images of an order that have ended do not keep."""
    ended = select(Image).where(Image.order_id == order_id, Image.state.not_in((ImageState.QUEUED, ImageState.RUNNING)))
    order = session.get(Order, order_id)
    keeps_original = order is not None and order.originals_seconds > 0
    return [key for image in session.scalars(ended) for key in surplus_of(image, keeps_original=keeps_original)]


def get_surplus_keys(session: Session, image_id: UUID) -> list[str]:
    """Return the keys of blobs that an image does not keep if it has ended, else none."""
    image = session.get(Image, image_id)
    if image is None or image.state in {ImageState.QUEUED, ImageState.RUNNING}:
        return []
    order = session.get(Order, image.order_id)
    return surplus_of(image, keeps_original=order is not None and order.originals_seconds > 0)


def mark_cleaned_up(session: Session, image_ids: Sequence[UUID]) -> None:
    """Record that the surplus blobs of these images are removed."""
    # The orders are not locked: see the module `outbox`.
    free = select(Image.id).where(Image.id.in_(image_ids)).with_for_update(skip_locked=True).cte()
    session.execute(update(Image).where(Image.id.in_(select(free.c.id))).values(cleaned_up=True))
