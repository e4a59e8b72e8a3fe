"""Events of orders for webhooks: their types, states and payloads, by the rules of Standard Webhooks.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from services.common.domain.orders import OrderState
from services.common.domain.retries import RetryPolicy


class WebhookEventType(StrEnum):
    """What has happened to an order."""

    FINISHED = "order.finished"
    """All images were blurred."""
    PARTIALLY_FAILED = "order.partially_failed"
    FAILED = "order.failed"
    CANCELLED = "order.cancelled"
    REVISED = "order.revised"
    """A revision has ended."""
    EXPIRED = "order.expired"


class WebhookState(StrEnum):
    """States of an event; see the interface's WebhookState."""

    QUEUED = "QUEUED"
    SENDING = "SENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


WEBHOOK_RETRIES = RetryPolicy(first_delay=5, longest_delay=3600)
GIVE_UP_SECONDS = 24 * 3600
"""After its first attempt, or after an operator sent it again, an event is tried so long."""
KEEP_SECONDS = 30 * 24 * 3600
"""How long events that have ended are kept, for operators."""

_OF_STATES = {
    OrderState.SUCCEEDED: WebhookEventType.FINISHED,
    OrderState.PARTIALLY_FAILED: WebhookEventType.PARTIALLY_FAILED,
    OrderState.FAILED: WebhookEventType.FAILED,
    OrderState.CANCELLED: WebhookEventType.CANCELLED,
    OrderState.EXPIRED: WebhookEventType.EXPIRED,
}


def event_type(state: OrderState, *, revised: bool = False) -> WebhookEventType:
    """Return the type of the event that an order is in this state now, which is not open.

    `revised`: it had finished before, and images of it were blurred again.
    """
    if revised and state in {OrderState.SUCCEEDED, OrderState.PARTIALLY_FAILED, OrderState.FAILED}:
        return WebhookEventType.REVISED
    return _OF_STATES[state]


def payload(
    kind: WebhookEventType, time: datetime, *, order_id: object, state: OrderState, counts: Mapping[str, int]
) -> str:
    """Return the body of an event as JSON: no addresses, names or other personal data."""
    data = {"order_id": str(order_id), "state": state.value, "counts": dict(counts)}
    stamp = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": kind.value, "timestamp": stamp, "data": data}, separators=(",", ":"))
