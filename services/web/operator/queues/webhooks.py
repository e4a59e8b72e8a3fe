"""Events for webhooks: what became of them, and posting them again."""

from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1 import order_pb2
from starlette.requests import Request
from starlette.responses import Response

from services.web.enums import short_name, value_of
from services.web.http.forms import read_fields
from services.web.operator.paging import Pager, page_token
from services.web.operator.renderer import OperatorRenderer, SignedInOperator, redirect_done

PAGE_SIZE = 50
STATES = ("queued", "sending", "delivered", "failed")


class WebhookPages:
    """The list of events, and its actions."""

    def __init__(self, renderer: OperatorRenderer) -> None:
        self._renderer = renderer

    async def list(self, request: Request, operator: SignedInOperator) -> Response:
        """List the newest events; optionally of one order, or in one state."""
        client, token = operator.client, page_token(request)
        filters = {name: request.query_params.get(name, "") for name in ("order", "state")}
        wanted = pb.ListWebhookEventsRequest(page_size=PAGE_SIZE, page_token=token, order_id=filters["order"])
        if state := value_of(order_pb2.WebhookState, filters["state"]):
            wanted.state = state
        found = await client.call(client.stub.ListWebhookEvents, wanted)
        return self._renderer.page(
            request,
            operator,
            "webhooks.html",
            events=[(entry, short_name(order_pb2.WebhookState, entry.event.state)) for entry in found.events],
            filters=filters,
            states=STATES,
            pager=Pager(page="/webhooks", token=token, next_token=found.next_page_token, filters=filters),
        )

    async def resend(self, request: Request, operator: SignedInOperator) -> Response:
        """Post the selected events again, or all that failed."""
        client, fields = operator.client, await read_fields(request)
        one = str(fields.get("one", ""))
        ids = [one] if one else [str(value) for value in fields.getlist("event_id")]
        if not ids and "all" not in fields:
            return redirect_done("/webhooks", "no_event_selected")
        resend = pb.ResendWebhookEventsRequest(event_ids=ids, all_failed=not ids)
        outcome = await client.call(client.stub.ResendWebhookEvents, resend)
        return redirect_done("/webhooks", "resent", outcome.resent)
