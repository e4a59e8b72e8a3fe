"""OperatorService: events for webhooks."""

from uuid import UUID

from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1 import order_pb2
from sqlalchemy.orm import Session

from services.common.db.access import audit
from services.common.db.webhooks import events
from services.common.domain.errors import InvalidArgument, Violation
from services.common.domain.follow_up import FollowUp
from services.common.domain.webhooks import WebhookState
from services.gateway.operator.base import Context, OperatorBase
from services.gateway.rpc import paging
from services.gateway.rpc.callers import audit_context
from services.gateway.rpc.fields import parse_id
from services.gateway.webhooks.messages import webhook_event_entry

MAX_EVENT_IDS = 1000


class WebhookServicer(OperatorBase):
    """The RPCs of webhooks."""

    async def ListWebhookEvents(
        self, request: pb.ListWebhookEventsRequest, context: Context
    ) -> pb.ListWebhookEventsResponse:
        """List events for webhooks."""
        size, before = paging.parse_size(request.page_size), paging.parse_time_and_id(request.page_token)
        order_id = parse_id(request.order_id) if request.order_id else None
        state = _parse_state(request.state)
        found = await self.read(
            lambda session: events.list_events(session, order_id=order_id, state=state, before=before, limit=size + 1)
        )
        page, last = paging.split_page(found, size)
        return pb.ListWebhookEventsResponse(
            events=map(webhook_event_entry, page),
            next_page_token=paging.make_token(last.created_at, last.id) if last else "",
        )

    async def ResendWebhookEvents(
        self, request: pb.ResendWebhookEventsRequest, context: Context
    ) -> pb.ResendWebhookEventsResponse:
        """Post events again."""
        if bool(request.event_ids) == request.all_failed:
            raise InvalidArgument(Violation("event_ids", "set either event_ids or all_failed"))
        if len(request.event_ids) > MAX_EVENT_IDS:
            raise InvalidArgument(Violation("event_ids", f"are more than {MAX_EVENT_IDS}"))
        ids = [parse_id(text, f"event_ids[{index}]") for index, text in enumerate(request.event_ids)]
        context_of_audit = audit_context()

        def resend(session: Session) -> tuple[list[UUID], int]:
            chosen, total = (ids, 0) if ids else events.list_failed(session, limit=MAX_EVENT_IDS)
            resent = events.resend(session, chosen)
            for event_id in resent:
                audit.record(session, context_of_audit, f"webhookEvents/{event_id}")
            return resent, max(0, total - len(resent))

        resent, remaining = await self.write(resend)
        await self.threads.run(self.after_commit, FollowUp(webhook_event_ids=resent))
        return pb.ResendWebhookEventsResponse(resent=len(resent), remaining=remaining)


def _parse_state(value: order_pb2.WebhookState.ValueType) -> WebhookState | None:
    if value == order_pb2.WEBHOOK_STATE_UNSPECIFIED:
        return None
    try:
        return WebhookState(order_pb2.WebhookState.Name(value).removeprefix("WEBHOOK_STATE_"))
    except ValueError:
        raise InvalidArgument(Violation("state", f"{value} is not a state")) from None
