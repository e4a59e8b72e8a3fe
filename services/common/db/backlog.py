"""Statements about how much there is to do."""

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from services.common.db.models import Order, table
from services.common.orders import OrderState

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
