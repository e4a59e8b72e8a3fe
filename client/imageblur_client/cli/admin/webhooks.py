"""`imageblur admin webhooks`, `resend-webhooks`."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_pb2 import WebhookEventEntry
from imageblur.v1.order_pb2 import WebhookState

from imageblur_client.cli.admin.output import Limit, operator_api, show, time_text
from imageblur_client.cli.context import Json
from imageblur_client.cli.render import enum_label
from imageblur_client.cli.text import count

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="IDs of events.", show_default=False)]


def webhooks(
    ctx: typer.Context,
    *,
    order: Annotated[str, typer.Option(metavar="ID", help="Only events of this order.")] = "",
    state: Annotated[
        str, typer.Option(metavar="STATE", help="Only events in this state: queued, sending, delivered or failed.")
    ] = "",
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List events for webhooks, newest first."""
    try:
        wanted = WebhookState.Value(f"WEBHOOK_STATE_{(state or 'unspecified').upper()}")
    except ValueError:
        raise typer.BadParameter(f"{state!r} is not a state", param_hint="--state") from None
    with operator_api(ctx) as operator:
        request = pb.ListWebhookEventsRequest(page_size=limit, order_id=order, state=wanted)
        found = operator.call(operator.stub.ListWebhookEvents, request).events
    show(found, _table(found), as_json=as_json)


def resend_webhooks(
    ctx: typer.Context,
    ids: Ids = None,
    *,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="All events that failed.")] = False,
) -> None:
    """Post events again, with the same IDs, whether they were delivered or failed."""
    with operator_api(ctx) as operator:
        request = pb.ResendWebhookEventsRequest(event_ids=ids or (), all_failed=all_failed)
        outcome = operator.call(operator.stub.ResendWebhookEvents, request)
    left = f", {outcome.remaining} left for the next call" if outcome.remaining else ""
    typer.echo(f"{count(outcome.resent, 'event')} posted again{left}.")


def _table(found: Sequence[WebhookEventEntry]) -> Iterator[Sequence[str]]:
    yield ("id", "order", "type", "state", "created", "attempts", "next", "host", "last outcome")
    for entry in found:
        event = entry.event
        yield (
            event.event_id,
            entry.order_id,
            event.type,
            enum_label(WebhookState.DESCRIPTOR, event.state),
            time_text(event, "create_time"),
            str(event.attempts),
            time_text(event, "next_attempt_time"),
            event.host,
            event.message,
        )
