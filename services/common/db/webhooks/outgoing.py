"""Statements that insert events for webhooks, in the transactions in which these happen."""

from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now, to_datetime
from services.common.db.models import Order, WebhookEvent, table
from services.common.domain.orders import OrderState
from services.common.domain.webhooks import GIVE_UP_SECONDS, WebhookState, event_type, payload

_SHOWN = 20
_INSERT = insert(table(WebhookEvent))


def insert_event(
    session: Session, order: Order, state: OrderState, counts: Mapping[str, int], *, revised: bool | None = None
) -> list[UUID]:
    """Insert the event that a locked order is in this state now, if it has a webhook.

    Args:
        session: The transaction.
        order: The order as it was before.
        state: Its new state, which is not open.
        counts: Its `succeeded`, `failed` and `cancelled`.
        revised: Whether it had finished before; None: by what the order was before.

    Returns:
        The event to enqueue after the commit, if there is one.
    """
    if not order.webhook_url:
        return []
    time = session.scalar(select(now())) or 0
    kind = event_type(state, revised=order.originals_until is not None if revised is None else revised)
    event_id = uuid4()
    session.execute(
        _INSERT,
        {
            "id": event_id,
            "order_id": order.id,
            "principal": order.principal,
            "url": order.webhook_url,
            "type": kind,
            "payload": payload(
                kind, to_datetime(time), order_id=order.id, state=state, counts={"total": order.total, **counts}
            ),
            "state": WebhookState.QUEUED,
            "attempts": 0,
            "not_before": 0,
            "give_up_at": time + GIVE_UP_SECONDS * SECOND,
            "enqueued_at": time,
            "created_at": time,
        },
    )
    return [event_id]


def list_of_order(session: Session, order: Order) -> Sequence[WebhookEvent]:
    """Return the newest events of an order, at most 20."""
    if not order.webhook_url and order.state != OrderState.EXPIRED:
        return ()
    query = select(WebhookEvent).where(WebhookEvent.order_id == order.id)
    return session.scalars(query.order_by(WebhookEvent.created_at.desc(), WebhookEvent.id).limit(_SHOWN)).all()
