"""Statements about the backlog: images, orders and e-mails that have not ended."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import ORDER_IS_OPEN, Email, Image, Order, WebhookEvent, sql_literal, table
from services.common.domain.mail import EmailState
from services.common.domain.orders import ImageQueue

_LOCK = 7_021_994
"""Key of the advisory lock, arbitrary but used for nothing else."""

_ORDERS = table(Order)
_OPEN_IMAGES = select(
    func.coalesce(func.sum(_ORDERS.c.total - _ORDERS.c.succeeded - _ORDERS.c.failed - _ORDERS.c.cancelled), 0)
).where(ORDER_IS_OPEN)


def count_open_images(session: Session) -> int:
    """Return the number of images that have not ended, over all orders."""
    return session.scalar(_OPEN_IMAGES) or 0


def lock_backlog(session: Session) -> None:
    """Wait until no other transaction adds to the backlog: two at once would not see each other's images.

    SQLite has one writer at a time anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_LOCK)))


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """What has not ended, at one moment."""

    waiting: Mapping[str, int]
    """Numbers of `images`, `orders` and `emails`."""
    oldest_image: Mapping[ImageQueue, float]
    """By queue: seconds since the oldest message about an image, not claimed yet, was sent; 0 without one."""
    oldest_email: float
    oldest_webhook: float


def get_backlog(session: Session) -> Backlog:
    """Count what has not ended, by partial indexes: however many rows have ended."""
    orders = select(func.count()).select_from(Order).where(ORDER_IS_OPEN)
    emails = sum(
        session.scalar(select(func.count()).where(Email.state == sql_literal(state))) or 0
        for state in (EmailState.QUEUED, EmailState.SENDING)
    )
    return Backlog(
        waiting={"images": count_open_images(session), "orders": session.scalar(orders) or 0, "emails": emails},
        oldest_image={queue: _get_age(session, Image, Image.queue == queue) for queue in ImageQueue},
        oldest_email=_get_age(session, Email),
        oldest_webhook=_get_age(session, WebhookEvent),
    )


def _get_age(session: Session, model: type[Image | Email | WebhookEvent], *conditions: ColumnElement[bool]) -> float:
    # Written as in the index; of e-mails, those with a message.
    enqueued = text("state = 'QUEUED' AND enqueued_at IS NOT NULL")
    age = session.scalar(select(func.coalesce(now() - func.min(model.enqueued_at), 0)).where(enqueued, *conditions))
    return max(0.0, (age or 0) / SECOND)
