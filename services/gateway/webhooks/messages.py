"""Converts events for webhooks to messages."""

from urllib.parse import urlsplit

from imageblur.v1 import operator_pb2, order_pb2

from services.common.db.models import WebhookEvent
from services.common.domain.webhooks import WebhookState
from services.gateway.rpc.timestamps import timestamp


def webhook_event_message(event: WebhookEvent) -> order_pb2.WebhookEvent:
    """Return an event, with the host of its address only: the rest may contain secrets."""
    waits = event.state == WebhookState.QUEUED and event.not_before > 0
    return order_pb2.WebhookEvent(
        event_id=str(event.id),
        type=event.type,
        state=order_pb2.WebhookState.Value(f"WEBHOOK_STATE_{event.state}"),
        attempts=event.attempts,
        message=event.message or "",
        create_time=timestamp(event.created_at),
        next_attempt_time=timestamp(event.not_before) if waits else None,
        finish_time=timestamp(event.finished_at),
        host=urlsplit(event.url).hostname or "",
    )


def webhook_event_entry(event: WebhookEvent) -> operator_pb2.WebhookEventEntry:
    """Return an event for operators."""
    return operator_pb2.WebhookEventEntry(
        event=webhook_event_message(event), order_id=str(event.order_id), principal=event.principal
    )
