"""Images of orders: read one, a page of them, or those that changed; add up their results."""

from typing import cast
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from services.common.db import pages
from services.common.db.models import Image, table
from services.common.domain.orders import ImageState

_IMAGES = table(Image)
_CHANGED = (
    select(*_IMAGES.c)
    .where(_IMAGES.c.order_id == bindparam("shown_id"), _IMAGES.c.revision > bindparam("seen"))
    .order_by(_IMAGES.c.position)
)


def list_changed(session: Session, order_id: UUID, revision: int) -> list[Image]:
    """Return the images that changed after `revision`, by position; read-only rows, as of `orders.lock`."""
    return cast("list[Image]", session.execute(_CHANGED, {"shown_id": order_id, "seen": revision}).all())


def get_image(session: Session, order_id: UUID, image_id: UUID) -> Image | None:
    """Return an image of an order; None if it has no such image."""
    return session.scalars(select(Image).where(Image.order_id == order_id, Image.id == image_id)).one_or_none()


def list_images(
    session: Session, order_id: UUID, *, after: int = 0, limit: int, state: ImageState | None = None
) -> list[Image]:
    """Return a page of an order's images, those with a position above `after`, by position."""
    query = pages.page(select(Image).where(Image.order_id == order_id), Image.position, after=(after,), limit=limit)
    if state:
        query = query.where(Image.state == state)
    return list(session.scalars(query))


def sum_output_bytes(session: Session, order_id: UUID, *, without: UUID) -> int:
    """Return the size in bytes of an order's results together, without that of one image."""
    others = select(func.sum(_IMAGES.c.output_bytes)).where(_IMAGES.c.order_id == order_id, _IMAGES.c.id != without)
    return int(session.scalar(others) or 0)
