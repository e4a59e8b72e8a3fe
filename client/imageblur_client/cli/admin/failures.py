"""`imageblur admin failures`, `retry`, `drop`."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_pb2 import FailureEntry, FailureFilter, FailureKind
from imageblur.v1.order_pb2 import FailureReason

from imageblur_client.cli.admin.showing import Limit, Yes, operator_of, show, sure, when
from imageblur_client.cli.failures import complain
from imageblur_client.cli.render import word
from imageblur_client.cli.session import Json
from imageblur_client.cli.text import count

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Of images or e-mails.", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="All that the other options let through.")]
Kind = Annotated[str, typer.Option(metavar="KIND", help="Only image, or only e-mail.")]
Reason = Annotated[str, typer.Option(metavar="REASON", help="Only with this reason, such as timed-out.")]
Order = Annotated[str, typer.Option(metavar="ID", help="Only of this order.")]


def failures(
    ctx: typer.Context,
    *,
    kind: Kind = "",
    reason: Reason = "",
    order: Order = "",
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List what was given up, with how many there are for each reason."""
    with operator_of(ctx) as operator:
        request = pb.ListFailuresRequest(page_size=limit, filter=_filter(kind, reason, order))
        found = operator.ask(operator.stub.ListFailures, request)
    show(found.failures, _table(found.failures), as_json=as_json)
    if not as_json:
        for group in found.groups:
            what = count(group.count, word(FailureKind.DESCRIPTOR, group.kind))
            typer.echo(f"{what}: {word(FailureReason.DESCRIPTOR, group.reason)}")


def retry(
    ctx: typer.Context, ids: Ids = None, *, every: All = False, kind: Kind = "", reason: Reason = "", order: Order = ""
) -> None:
    """Have failures tried again."""
    with operator_of(ctx) as operator:
        request = pb.RetryFailuresRequest(failure_ids=ids or (), all=every, filter=_filter(kind, reason, order))
        outcome = operator.ask(operator.stub.RetryFailures, request)
    for skipped in outcome.skipped:
        complain(f"{skipped.failure_id}: {skipped.message}")
    left = f", {outcome.remaining} left for the next call" if outcome.remaining else ""
    typer.echo(f"{count(outcome.retried, 'failure')} tried again{left}.")


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
    """Strike failures off; originals that were kept for them are removed."""
    sure("They can never be tried again. Go on?", yes=yes)
    with operator_of(ctx) as operator:
        request = pb.DropFailuresRequest(failure_ids=ids or (), all=every, filter=_filter(kind, reason, order))
        outcome = operator.ask(operator.stub.DropFailures, request)
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
        raise typer.BadParameter("is not one that there is", param_hint="--kind or --reason") from None


def _table(found: Sequence[FailureEntry]) -> Iterator[Sequence[str]]:
    yield ("id", "what", "reason", "when", "attempts", "again?", "words")
    for f in found:
        yield (
            f.failure_id,
            word(FailureKind.DESCRIPTOR, f.kind),
            word(FailureReason.DESCRIPTOR, f.failure.reason),
            when(f, "fail_time"),
            str(f.attempts),
            "yes" if f.retriable else "no",
            f.failure.message,
        )
