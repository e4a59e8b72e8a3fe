"""Which orders an operator's action can change: all that match a filter, or those of some ids."""

from collections.abc import Sequence
from enum import Enum
from uuid import UUID

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import Session

from services.common.db.clock import now
from services.common.db.models import Order
from services.common.db.orders.orders import OPEN_STATES
from services.common.domain.orders import OrderState

_ENDED = (OrderState.SUCCEEDED, OrderState.PARTIALLY_FAILED, OrderState.FAILED)


class OrderAction(Enum):
    """What operators do with many orders; the names of the RPCs."""

    CANCEL = "CancelOrders"
    DELETE = "DeleteOrders"
    SEND = "SendOrders"
    REVISE = "ReviseOrders"
    EXTEND = "ExtendOrders"


def eligible(action: OrderAction) -> ColumnElement[bool]:
    """Return the condition that an action can change an order."""
    match action:
        case OrderAction.CANCEL:
            return Order.state.in_(OPEN_STATES)
        case OrderAction.DELETE:
            return true()
        case OrderAction.SEND:
            return Order.state.in_(_ENDED) & Order.email.is_not(None)
        case OrderAction.REVISE:
            return Order.state.in_(_ENDED) & (Order.originals_until > now())
        case OrderAction.EXTEND:
            return Order.state != OrderState.EXPIRED


def list_eligible(session: Session, action: OrderAction, order_ids: Sequence[UUID]) -> list[UUID]:
    """Return those of some orders that an action can change, in the same sequence."""
    found = set(session.scalars(select(Order.id).where(Order.id.in_(order_ids), eligible(action))))
    return [order_id for order_id in order_ids if order_id in found]


def explain_ineligible(session: Session, action: OrderAction, order_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return for orders that an action cannot change, why."""
    rows = session.execute(
        select(Order.id, Order.state, Order.email.is_(None).label("anonymous")).where(Order.id.in_(order_ids))
    )
    found = {row.id: row for row in rows}
    return {order_id: _explain(action, found.get(order_id)) for order_id in order_ids}


def _explain(action: OrderAction, row: object) -> str:
    if row is None:
        return "there is no such order"
    state = OrderState(getattr(row, "state"))  # noqa: B009 - a row of the statement above
    if state in _ENDED and action is OrderAction.SEND:
        return "the order has no address"
    if state in _ENDED and action is OrderAction.REVISE:
        return "the originals are not kept, or no longer"
    return f"the order is {state}"
