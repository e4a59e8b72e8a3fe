"""Statements about how much there is to do."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import Email, Image, Order, table
from services.common.domain.orders import OrderState

_LOCK = 7_021_994
"""Any number that nobody else takes for an advisory lock."""

_ORDERS = table(Order)
_OPEN_IMAGES = select(
    func.coalesce(func.sum(_ORDERS.c.total - _ORDERS.c.succeeded - _ORDERS.c.failed - _ORDERS.c.cancelled), 0)
    # Written as in the index, so that SQLite takes it: it does not see that a parameter is the same.
).where(text(f"state IN ('{OrderState.QUEUED}', '{OrderState.RUNNING}')"))


def open_images(session: Session) -> int:
    """Images that have not ended, over all open orders."""
    return session.scalar(_OPEN_IMAGES) or 0


def take_turns(session: Session) -> None:
    """Wait until no other transaction is adding to the backlog: two at once would not see each other's images.

    Writers of SQLite take turns anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_LOCK)))


@dataclass(frozen=True)
class Measured:
    """How much there is to do, as at one moment."""

    waiting: Mapping[str, int]
    """What has not ended: `images`, `orders`, `emails`."""
    oldest_image: float
    """Seconds since the oldest message about an image, not claimed yet, was sent; 0 without one."""
    oldest_email: float


def measure(session: Session) -> Measured:
    """Count what is to be done; on indexes of just that, whatever else there is."""
    orders = select(func.count()).select_from(Order).where(text("state IN ('QUEUED', 'RUNNING')"))
    emails = select(func.count()).select_from(Email).where(text("state IN ('QUEUED', 'SENDING')"))
    oldest = [
        # Written as in the index; of e-mails, those of which a message is under way.
        select(func.coalesce((now() - func.min(model.enqueued_at)), 0)).where(
            text("state = 'QUEUED' AND enqueued_at IS NOT NULL")
        )
        for model in (Image, Email)
    ]
    image, email = (max(0.0, (session.scalar(query) or 0) / SECOND) for query in oldest)
    return Measured(
        {
            "images": open_images(session),
            "orders": session.scalar(orders) or 0,
            "emails": session.scalar(emails) or 0,
        },
        image,
        email,
    )
