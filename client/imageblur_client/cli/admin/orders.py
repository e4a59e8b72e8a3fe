"""`imageblur admin orders`, `trace`, `stats`."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_pb2 import OrderEntry, OrderFilter, StatisticsPoint, TraceKind, TraceStep
from imageblur.v1.order_pb2 import OrderState

from imageblur_client.cli.admin.output import Limit, duration_text, operator_api, show, time_text
from imageblur_client.cli.context import Json, OrderId
from imageblur_client.cli.render import counts, enum_label


def orders(
    ctx: typer.Context,
    *,
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="STATE", help="Only orders in this state, such as failed. Can be repeated."),
    ] = None,
    email: Annotated[str, typer.Option(metavar="E", help="Only orders for this address.")] = "",
    principal: Annotated[
        str, typer.Option(metavar="P", help="Only orders placed by this principal, such as key:ID.")
    ] = "",
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List orders, newest first."""
    which = OrderFilter(states=map(_state, state or ()), email=email, principal=principal)
    with operator_api(ctx) as operator:
        request = pb.ListOrdersRequest(page_size=limit, filter=which)
        found = operator.call(operator.stub.ListOrders, request).orders
    show(found, _order_table(found), as_json=as_json)


def trace(ctx: typer.Context, order_id: OrderId, as_json: Json = False) -> None:
    """Show the trace of an order, from the upload to the e-mail."""
    with operator_api(ctx) as operator:
        found = operator.call(operator.stub.GetOrderTrace, pb.GetOrderTraceRequest(order_id=order_id))
    show(found.steps, _trace_table(found.steps), as_json=as_json)
    if found.omitted_images and not as_json:
        typer.echo(f"and {found.omitted_images:,} images more")


def stats(
    ctx: typer.Context,
    minutes: Annotated[int, typer.Option(min=1, metavar="N", help="Length of the time series.")] = 60,
    points: Annotated[int, typer.Option(min=1, max=500, metavar="N", help="Number of points.")] = 12,
    as_json: Json = False,
) -> None:
    """Show rates and durations."""
    step = max(1, minutes * 60 // points)
    request = pb.GetStatisticsRequest(span=Duration(seconds=minutes * 60), step=Duration(seconds=step))
    with operator_api(ctx) as operator:
        found = operator.call(operator.stub.GetStatistics, request).points
    show(found, _stats_table(found), as_json=as_json)


def _state(text: str) -> OrderState.ValueType:
    try:
        return OrderState.Value("ORDER_STATE_" + text.upper().replace("-", "_").replace(" ", "_"))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not an order state", param_hint="--state") from None


def _order_table(found: Sequence[OrderEntry]) -> Iterator[Sequence[str]]:
    yield ("order", "state", "placed", "finished", "images", "address", "principal")
    for entry in found:
        order = entry.order
        state, times = (
            enum_label(OrderState.DESCRIPTOR, order.state),
            (time_text(order, "create_time"), time_text(order, "finish_time")),
        )
        yield (order.order_id, state, *times, counts(order.counts), order.email_hint or "-", entry.principal)


def _trace_table(steps: Sequence[TraceStep]) -> Iterator[Sequence[str]]:
    yield ("step", "no", "state", "started", "duration", "attempts", "message")
    for step in steps:
        number = str(step.position) if step.position else ""
        unfinished = "" if step.HasField("end_time") else " so far"
        yield (
            enum_label(TraceKind.DESCRIPTOR, step.kind),
            number,
            step.state.lower(),
            time_text(step, "start_time"),
            duration_text(step, "duration") + unfinished,
            str(step.attempts),
            step.message,
        )


def _stats_table(found: Sequence[StatisticsPoint]) -> Iterator[Sequence[str]]:
    yield ("from", "orders", "blurred", "failed", "emails", "wait p50", "p95", "work p50", "p95")
    for p in found:
        numbers = (p.orders, p.images_succeeded, p.images_failed, p.emails_sent)
        times = [duration_text(p, name) for name in ("wait_p50", "wait_p95", "work_p50", "work_p95")]
        yield (time_text(p, "start_time"), *map(str, numbers), *times)
