"""`imageblur admin orders`, `trace`, `stats`."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_pb2 import OrderEntry, OrderFilter, StatisticsPoint, TraceKind, TraceStep
from imageblur.v1.order_pb2 import OrderState

from imageblur_client.cli.admin.showing import Limit, operator_of, show, took, when
from imageblur_client.cli.render import counts, word
from imageblur_client.cli.session import Json, OrderId


def orders(
    ctx: typer.Context,
    *,
    state: Annotated[list[str] | None, typer.Option(metavar="STATE", help="Only these, such as failed.")] = None,
    email: Annotated[str, typer.Option(metavar="E", help="Only of this address.")] = "",
    principal: Annotated[str, typer.Option(metavar="P", help="Only those placed by this one, such as key:ID.")] = "",
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List orders, the newest first."""
    which = OrderFilter(states=map(_state, state or ()), email=email, principal=principal)
    with operator_of(ctx) as operator:
        request = pb.ListOrdersRequest(page_size=limit, filter=which)
        found = operator.ask(operator.stub.ListOrders, request).orders
    show(found, _order_table(found), as_json=as_json)


def trace(ctx: typer.Context, order_id: OrderId, as_json: Json = False) -> None:
    """Show an order's way from the upload to the e-mail."""
    with operator_of(ctx) as operator:
        found = operator.ask(operator.stub.GetOrderTrace, pb.GetOrderTraceRequest(order_id=order_id))
    show(found.steps, _trace_table(found.steps), as_json=as_json)
    if found.images_left_out and not as_json:
        typer.echo(f"and {found.images_left_out:,} images more")


def stats(
    ctx: typer.Context,
    minutes: Annotated[int, typer.Option(min=1, metavar="N", help="How far back.")] = 60,
    points: Annotated[int, typer.Option(min=1, max=500, metavar="N", help="In how many steps.")] = 12,
    as_json: Json = False,
) -> None:
    """Show rates and times."""
    step = max(1, minutes * 60 // points)
    request = pb.GetStatisticsRequest(span=Duration(seconds=minutes * 60), step=Duration(seconds=step))
    with operator_of(ctx) as operator:
        found = operator.ask(operator.stub.GetStatistics, request).points
    show(found, _stats_table(found), as_json=as_json)


def _state(text: str) -> OrderState.ValueType:
    try:
        return OrderState.Value("ORDER_STATE_" + text.upper().replace("-", "_").replace(" ", "_"))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a state of orders", param_hint="--state") from None


def _order_table(found: Sequence[OrderEntry]) -> Iterator[Sequence[str]]:
    yield ("order", "state", "placed", "finished", "images", "for", "by")
    for entry in found:
        order = entry.order
        state, times = (
            word(OrderState.DESCRIPTOR, order.state),
            (when(order, "create_time"), when(order, "finish_time")),
        )
        yield (order.order_id, state, *times, counts(order.counts), order.email_hint or "-", entry.principal)


def _trace_table(steps: Sequence[TraceStep]) -> Iterator[Sequence[str]]:
    yield ("step", "no", "state", "began", "took", "attempts", "")
    for step in steps:
        number = str(step.position) if step.position else ""
        goes_on = "" if step.HasField("end_time") else " so far"
        yield (
            word(TraceKind.DESCRIPTOR, step.kind),
            number,
            step.state.lower(),
            when(step, "start_time"),
            took(step, "duration") + goes_on,
            str(step.attempts),
            step.message,
        )


def _stats_table(found: Sequence[StatisticsPoint]) -> Iterator[Sequence[str]]:
    yield ("from", "orders", "blurred", "failed", "emails", "wait p50", "p95", "work p50", "p95")
    for p in found:
        numbers = (p.orders, p.images_succeeded, p.images_failed, p.emails_sent)
        times = [took(p, name) for name in ("wait_p50", "wait_p95", "work_p50", "work_p95")]
        yield (when(p, "start_time"), *map(str, numbers), *times)
