"""`imageblur admin failures`, `retry`, `dismiss`."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_pb2 import FailureCause, FailureEntry, FailureFilter, FailureKind
from imageblur.v1.order_pb2 import FailureReason

from imageblur_client.cli.admin.output import All as AllRows
from imageblur_client.cli.admin.output import Csv, DryRun, Limit, Yes, confirm, operator_api, pages, show, time_text
from imageblur_client.cli.admin.times import Since, Until, span
from imageblur_client.cli.context import Json
from imageblur_client.cli.errors import print_error
from imageblur_client.cli.render import enum_label
from imageblur_client.cli.shared_options import takes
from imageblur_client.cli.text import count

Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="IDs of failed images, e-mails or webhook events.", show_default=False),
]
All = Annotated[bool, typer.Option("--all", help="All failures that match the other options.")]
Kind = Annotated[str, typer.Option(metavar="KIND", help="Only failures of this kind: image, email or webhook.")]
Reason = Annotated[str, typer.Option(metavar="REASON", help="Only failures with this reason, such as timed-out.")]
Order = Annotated[str, typer.Option(metavar="ID", help="Only failures of this order.")]
Cause = Annotated[
    str,
    typer.Option(
        metavar="CAUSE",
        help="Only failures with this cause: service (for operators), file, or recipient (an address or a receiver).",
    ),
]


def _filter(
    *, kind: Kind = "", reason: Reason = "", order: Order = "", cause: Cause = "", since: Since = "", until: Until = ""
) -> FailureFilter:
    """Return the filter of these options."""
    begin, end = span(since, until)
    try:
        return FailureFilter(
            kind=FailureKind.Value(f"FAILURE_KIND_{(kind or 'unspecified').upper()}"),
            reason=FailureReason.Value(f"FAILURE_REASON_{(reason or 'unspecified').upper().replace('-', '_')}"),
            order_id=order,
            cause=FailureCause.Value(f"FAILURE_CAUSE_{(cause or 'unspecified').upper()}"),
            from_time=begin,
            to_time=end,
        )
    except ValueError:
        raise typer.BadParameter("is unknown", param_hint="--kind, --reason or --cause") from None


_takes_filter = takes("which", _filter)


@_takes_filter
def failures(
    ctx: typer.Context,
    *,
    which: FailureFilter,
    limit: Limit = 50,
    every: AllRows = False,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """List failed images, e-mails and webhook events, with their number for each reason."""
    with operator_api(ctx) as operator:
        found = pages(
            operator,
            operator.stub.ListFailures,
            pb.ListFailuresRequest(filter=which),
            "failures",
            limit=None if every else limit,
        )
        show(found, _table, as_json=as_json, as_csv=as_csv)
        if as_json or as_csv:
            return
        groups = operator.call(operator.stub.ListFailures, pb.ListFailuresRequest(page_size=1, filter=which)).groups
    for group in groups:
        what = count(group.count, enum_label(FailureKind.DESCRIPTOR, group.kind))
        cause = enum_label(FailureCause.DESCRIPTOR, group.cause)
        typer.echo(f"{what}: {enum_label(FailureReason.DESCRIPTOR, group.reason)} ({cause})")


@_takes_filter
def retry(
    ctx: typer.Context, *, ids: Ids = None, every: All = False, which: FailureFilter, dry_run: DryRun = False
) -> None:
    """Retry failures where it can help: those of the service, of sources and of receivers of webhooks."""
    with operator_api(ctx) as operator:
        request = pb.RetryFailuresRequest(failure_ids=ids or (), all=every, filter=which, validate_only=dry_run)
        outcome = operator.call(operator.stub.RetryFailures, request)
    if dry_run:
        typer.echo(f"Would retry {count(outcome.matched, 'failure')}.")
        return
    for skipped in outcome.skipped:
        print_error(f"{skipped.failure_id}: {skipped.message}")
    left = f", {outcome.remaining} left for the next call" if outcome.remaining else ""
    typer.echo(f"{count(outcome.retried, 'failure')} retried{left}.")


@_takes_filter
def dismiss(
    ctx: typer.Context,
    *,
    ids: Ids = None,
    every: All = False,
    which: FailureFilter,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Dismiss failures, and delete the originals kept for them."""
    with operator_api(ctx) as operator:
        request = pb.DismissFailuresRequest(failure_ids=ids or (), all=every, filter=which, validate_only=True)
        matched = operator.call(operator.stub.DismissFailures, request).matched
        if dry_run:
            typer.echo(f"Would dismiss {count(matched, 'failure')}.")
            return
        confirm(f"Dismiss {count(matched, 'failure')}? Dismissed failures cannot be retried.", yes=yes)
        request.validate_only = False
        outcome = operator.call(operator.stub.DismissFailures, request)
    left = f", {outcome.remaining} left for the next call" if outcome.remaining else ""
    typer.echo(f"{count(outcome.dismissed, 'failure')} dismissed{left}.")


def _table(found: Sequence[FailureEntry]) -> Iterator[Sequence[str]]:
    yield ("id", "kind", "cause", "reason", "failed", "attempts", "retryable", "message")
    for f in found:
        yield (
            f.failure_id,
            enum_label(FailureKind.DESCRIPTOR, f.kind),
            enum_label(FailureCause.DESCRIPTOR, f.cause),
            enum_label(FailureReason.DESCRIPTOR, f.failure.reason),
            time_text(f, "fail_time"),
            str(f.attempts),
            "yes" if f.retryable else "no",
            f.failure.message,
        )
