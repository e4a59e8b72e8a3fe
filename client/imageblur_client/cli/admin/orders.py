"""`imageblur admin orders`, `order-images`, `trace`, `stats`."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_pb2 import (
    FailureCause,
    OrderEntry,
    OrderFilter,
    OrderImage,
    StatisticsPoint,
    TraceKind,
    TraceStep,
)
from imageblur.v1.order_pb2 import CheckState, FailureReason, FindingKind, ImageState, OrderState

from imageblur_client.cli.admin.order_options import resolve, takes_order_filter
from imageblur_client.cli.admin.output import All, Csv, Limit, duration_text, operator_api, pages, show, time_text
from imageblur_client.cli.context import Json
from imageblur_client.cli.render import counts, enum_label
from imageblur_client.cli.text import size

ShortId = Annotated[str, typer.Argument(metavar="ID", help="Order ID or its beginning.", show_default=False)]


@takes_order_filter
def orders(
    ctx: typer.Context,
    *,
    which: OrderFilter,
    limit: Limit = 50,
    every: All = False,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List orders, newest first."""
    with operator_api(ctx) as operator:
        request = pb.ListOrdersRequest(filter=which)
        found = pages(operator, operator.stub.ListOrders, request, "orders", limit=None if every else limit)
        show(found, _order_table, as_json=as_json, as_csv=as_csv)


def order_images(
    ctx: typer.Context,
    order_id: ShortId,
    *,
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="STATE", help="Only images in this state, such as failed. Can be repeated."),
    ] = None,
    limit: Limit = 200,
    every: All = False,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List the images of an order with their worker, attempts and times."""
    with operator_api(ctx) as operator:
        request = pb.ListOrderImagesRequest(order_id=resolve(operator, order_id), states=map(_image_state, state or ()))
        found = pages(operator, operator.stub.ListOrderImages, request, "images", limit=None if every else limit)
        show(found, _image_table, as_json=as_json, as_csv=as_csv)


def trace(ctx: typer.Context, order_id: ShortId, as_json: Json = False) -> None:
    """Show the trace of an order, from the upload to the e-mail."""
    with operator_api(ctx) as operator:
        request = pb.GetOrderTraceRequest(order_id=resolve(operator, order_id))
        found = operator.call(operator.stub.GetOrderTrace, request)
    show(found.steps, _trace_table, as_json=as_json)
    if found.omitted_images and not as_json:
        typer.echo(f"and {found.omitted_images:,} images more")


def stats(
    ctx: typer.Context,
    minutes: Annotated[int, typer.Option(min=1, metavar="N", help="Length of the time series.")] = 60,
    points: Annotated[int, typer.Option(min=1, max=500, metavar="N", help="Number of points.")] = 12,
    as_json: Json = False,
) -> None:
    """Show rates, durations, findings and checks of results."""
    step = max(1, minutes * 60 // points)
    request = pb.GetStatisticsRequest(span=Duration(seconds=minutes * 60), step=Duration(seconds=step))
    with operator_api(ctx) as operator:
        found = operator.call(operator.stub.GetStatistics, request).points
    show(found, _stats_table, as_json=as_json)


def _image_state(text: str) -> ImageState.ValueType:
    try:
        return ImageState.Value("IMAGE_STATE_" + text.upper())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not an image state", param_hint="--state") from None


def _order_table(found: Sequence[OrderEntry]) -> Iterator[Sequence[str]]:
    yield ("order", "state", "placed", "finished", "images", "address", "principal")
    for entry in found:
        order = entry.order
        state, times = (
            enum_label(OrderState.DESCRIPTOR, order.state),
            (time_text(order, "create_time"), time_text(order, "finish_time")),
        )
        yield (order.order_id, state, *times, counts(order.counts), order.email_hint or "-", entry.principal)


def _image_table(found: Sequence[OrderImage]) -> Iterator[Sequence[str]]:
    yield ("no", "state", "kind", "size", "queue", "work", "worker", "attempts", "ended", "name", "found", "failure")
    for image in found:
        failure = ""
        if image.HasField("failure"):
            cause = enum_label(FailureCause.DESCRIPTOR, image.cause)
            reason = enum_label(FailureReason.DESCRIPTOR, image.failure.reason)
            failure = f"{cause}: {reason}: {image.failure.message}"
        inspection = f"{image.findings}, {image.hidden} hidden" if image.findings else ""
        if image.check == CheckState.CHECK_STATE_REMAINING:
            inspection += ", still visible"
        yield (
            str(image.position),
            enum_label(ImageState.DESCRIPTOR, image.state),
            image.file_kind or "-",
            size(image.input_bytes),
            duration_text(image, "wait"),
            duration_text(image, "work"),
            image.worker or "-",
            str(image.attempts),
            time_text(image, "finish_time"),
            image.filename or "-",
            inspection or "-",
            failure or "-",
        )


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
    kinds = sorted({entry.kind for point in found for entry in point.findings})
    names = [enum_label(FindingKind.DESCRIPTOR, kind) for kind in kinds]
    yield (
        *("from", "orders", "blurred", "bad files", "failed", "emails", "wait p50", "p95", "work p50", "p95"),
        *names,
        *("clean", "still visible"),
    )
    for p in found:
        bad_files = p.images_failed - p.images_failed_by_service
        numbers = (p.orders, p.images_succeeded, bad_files, p.images_failed_by_service, p.emails_sent)
        times = [duration_text(p, name) for name in ("wait_p50", "wait_p95", "work_p50", "work_p95")]
        findings = {entry.kind: entry.found for entry in p.findings}
        yield (
            time_text(p, "start_time"),
            *map(str, numbers),
            *times,
            *(str(findings.get(kind, 0)) for kind in kinds),
            str(p.checks_clean),
            str(p.checks_remaining),
        )
