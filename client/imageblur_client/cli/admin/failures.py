"""`imageblur admin failures`, `retry`, `drop`."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_pb2 import FailureEntry, FailureFilter, FailureKind
from imageblur.v1.order_pb2 import FailureReason

from imageblur_client.cli.admin.output import Limit, Yes, confirm, operator_api, show, time_text
from imageblur_client.cli.context import Json
from imageblur_client.cli.errors import print_error
from imageblur_client.cli.render import enum_label
from imageblur_client.cli.text import count

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="IDs of failed images or e-mails.", show_default=False)
]
All = Annotated[bool, typer.Option("--all", help="All failures that match the other options.")]
Kind = Annotated[str, typer.Option(metavar="KIND", help="Only failures of this kind: image or email.")]
Reason = Annotated[str, typer.Option(metavar="REASON", help="Only failures with this reason, such as timed-out.")]
Order = Annotated[str, typer.Option(metavar="ID", help="Only failures of this order.")]


def failures(
    ctx: typer.Context,
    *,
    kind: Kind = "",
    reason: Reason = "",
    order: Order = "",
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List failed images and e-mails, with their number for each reason."""
    with operator_api(ctx) as operator:
        request = pb.ListFailuresRequest(page_size=limit, filter=_filter(kind, reason, order))
        found = operator.call(operator.stub.ListFailures, request)
    show(found.failures, _table(found.failures), as_json=as_json)
    if not as_json:
        for group in found.groups:
            what = count(group.count, enum_label(FailureKind.DESCRIPTOR, group.kind))
            typer.echo(f"{what}: {enum_label(FailureReason.DESCRIPTOR, group.reason)}")


def retry(
    ctx: typer.Context, ids: Ids = None, *, every: All = False, kind: Kind = "", reason: Reason = "", order: Order = ""
) -> None:
    """Retry failures."""
    with operator_api(ctx) as operator:
        request = pb.RetryFailuresRequest(failure_ids=ids or (), all=every, filter=_filter(kind, reason, order))
        outcome = operator.call(operator.stub.RetryFailures, request)
    for skipped in outcome.skipped:
        print_error(f"{skipped.failure_id}: {skipped.message}")
    left = f", {outcome.remaining} left for the next call" if outcome.remaining else ""
    typer.echo(f"{count(outcome.retried, 'failure')} retried{left}.")


def drop(
    ctx: typer.Context,
    ids: Ids = None,
    *,
    every: All = False,
    kind: Kind = "",
    reason: Reason = "",
    order: Order = "",
    yes: Yes = False,
) -> None:
    """Drop failures, and delete the originals kept for them."""
    confirm("Dropped failures cannot be retried. Continue?", yes=yes)
    with operator_api(ctx) as operator:
        request = pb.DropFailuresRequest(failure_ids=ids or (), all=every, filter=_filter(kind, reason, order))
        outcome = operator.call(operator.stub.DropFailures, request)
    left = f", {outcome.remaining} left for the next call" if outcome.remaining else ""
    typer.echo(f"{count(outcome.dropped, 'failure')} dropped{left}.")


def _filter(kind: str, reason: str, order_id: str) -> FailureFilter:
    try:
        return FailureFilter(
            kind=FailureKind.Value(f"FAILURE_KIND_{(kind or 'unspecified').upper()}"),
            reason=FailureReason.Value(f"FAILURE_REASON_{(reason or 'unspecified').upper().replace('-', '_')}"),
            order_id=order_id,
        )
    except ValueError:
        raise typer.BadParameter("is unknown", param_hint="--kind or --reason") from None


def _table(found: Sequence[FailureEntry]) -> Iterator[Sequence[str]]:
    yield ("id", "kind", "reason", "failed", "attempts", "retryable", "message")
    for f in found:
        yield (
            f.failure_id,
            enum_label(FailureKind.DESCRIPTOR, f.kind),
            enum_label(FailureReason.DESCRIPTOR, f.failure.reason),
            time_text(f, "fail_time"),
            str(f.attempts),
            "yes" if f.retryable else "no",
            f.failure.message,
        )
