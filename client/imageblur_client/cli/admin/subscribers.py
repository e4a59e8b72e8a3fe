"""`imageblur admin subscribers`, `import-subscribers`, `export-subscribers`, `suppress`, `bounce`."""

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from imageblur.v1 import operator_newsletter_pb2 as pb

from imageblur_client.cli.admin.output import Limit, Yes, confirm, operator_api, show, time_text
from imageblur_client.cli.context import Json
from imageblur_client.cli.errors import ExitCode, print_error
from imageblur_client.cli.render import as_dict, enum_label, json_line
from imageblur_client.cli.text import count, plain

IMPORT_SECONDS = 4 * 3600.0
"""Timeout of an import or export."""
CHUNK_BYTES = 48 << 10
REPORT_BYTES = 512 << 10
"""What is sent of a report; what follows is the e-mail that it is about."""

Address = Annotated[str, typer.Argument(metavar="E", help="E-mail address.", show_default=False)]
State = Annotated[
    str, typer.Option(metavar="STATE", help="Only these: pending, confirmed, unsubscribed or suppressed.")
]


def subscribers(
    ctx: typer.Context,
    state: State = "",
    search: Annotated[str, typer.Option(metavar="TEXT", help="Only addresses that contain this.")] = "",
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """Count subscribers, and list them by address."""
    with operator_api(ctx) as operator:
        counts = operator.call(operator.stub.CountSubscribers, pb.CountSubscribersRequest())
        request = pb.ListSubscribersRequest(page_size=limit, state=_state(state), search=search)
        found = operator.call(operator.stub.ListSubscribers, request).subscribers
    if not as_json:
        typer.echo(
            f"{counts.confirmed:,} confirmed, {counts.pending:,} pending, {counts.unsubscribed:,} unsubscribed, "
            f"{counts.suppressed:,} suppressed"
        )
    show(found, _table(found), as_json=as_json)


def import_subscribers(  # noqa: PLR0917 - a command
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV file in UTF-8; - for stdin.", show_default=False)],
    source: Annotated[str, typer.Option(metavar="TEXT", help="Where the addresses come from, such as 'fair 2026'.")],
    consent_date: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            help="Attest that the owners agreed on this day, such as 2026-05-31. Their subscriptions are confirmed at "
            "once. With 'each', each row has its own consent_date.",
            show_default=False,
        ),
    ] = None,
    double_opt_in: Annotated[
        bool, typer.Option("--double-opt-in", help="Ask each address to confirm, by e-mail, ten a second.")
    ] = False,
    locale: Annotated[str, typer.Option(metavar="LANG", help="Language of rows without one, such as en or ru.")] = "",
    as_json: Json = False,
) -> None:
    """Subscribe the addresses of a CSV file.

    Its first line names the columns: email, and if you like language, time_zone, source, consent_date. Who has
    unsubscribed or is suppressed is left out.
    """
    if (consent_date is None) == (not double_opt_in):
        raise typer.BadParameter("give either --double-opt-in or --consent-date")
    start = pb.ImportStart(source=source, locale=locale, consent=pb.IMPORT_CONSENT_DOUBLE_OPT_IN)
    if consent_date is not None:
        start.consent = pb.IMPORT_CONSENT_ATTESTED
        if consent_date != "each":
            start.consent_time.CopyFrom(_day(consent_date))
    if str(file) != "-" and not file.is_file():
        raise typer.BadParameter(f"there is no file {file}", param_hint="FILE")
    with operator_api(ctx) as operator, file.open("rb") if str(file) != "-" else sys.stdin.buffer as stream:
        result = operator.call(operator.stub.ImportSubscribers, _parts(start, stream), seconds=IMPORT_SECONDS)
    if as_json:
        typer.echo(json_line(**as_dict(result)))
    else:
        _print_result(result)
    if result.rejected:
        raise typer.Exit(ExitCode.NOT_ALL_SUCCEEDED)


def export_subscribers(ctx: typer.Context, state: State = "") -> None:
    """Print subscribers as CSV, with their state, time zone, source and consent."""
    with operator_api(ctx) as operator:
        request = pb.ExportSubscribersRequest(state=_state(state))
        for part in operator.stream(operator.stub.ExportSubscribers, request, seconds=IMPORT_SECONDS):
            sys.stdout.buffer.write(part.data)
    sys.stdout.buffer.flush()


def suppress(
    ctx: typer.Context,
    address: Address,
    detail: Annotated[str, typer.Option(metavar="TEXT", help="Why, without the address.")] = "",
    yes: Yes = False,
) -> None:
    """Send no newsletter and no confirmation to an address, no matter who subscribes it."""
    confirm("Suppress this address?", yes=yes)
    with operator_api(ctx) as operator:
        request = pb.SuppressSubscriberRequest(email=address, detail=detail)
        done = operator.call(operator.stub.SuppressSubscriber, request).suppressed
    typer.echo("Suppressed." if done else "The address was suppressed already.")


def bounce(ctx: typer.Context, as_json: Json = False) -> None:
    """Record a bounce or complaint that is piped in: `imageblur admin bounce < mail`.

    For the alias of the bounce address, such as |"imageblur --key-file /etc/imageblur/bounces.key admin bounce". Other
    messages change nothing, and are no error.
    """
    message = sys.stdin.buffer.read(REPORT_BYTES)
    while sys.stdin.buffer.read(1 << 20):  # or the mail server would report a broken pipe
        pass
    with operator_api(ctx) as operator:
        recorded = operator.call(operator.stub.RecordMailReport, pb.RecordMailReportRequest(message=message))
    if as_json:
        typer.echo(json_line(**as_dict(recorded)))
    else:
        typer.echo(_describe(recorded))


def _describe(recorded: pb.RecordMailReportResponse) -> str:
    if not recorded.kind:
        return "nothing to record: no bounce and no complaint"
    kind = enum_label(pb.MailReportKind.DESCRIPTOR, recorded.kind)
    kind += f" ({recorded.status})" if recorded.status else ""
    if not recorded.matched:
        return f"{kind} of an e-mail that is not known (any more)"
    return f"{kind}: {'the address is suppressed' if recorded.suppressed else 'recorded'}"


def _parts(start: pb.ImportStart, stream: BinaryIO) -> Iterator[pb.ImportSubscribersRequest]:
    yield pb.ImportSubscribersRequest(start=start)
    while data := stream.read(CHUNK_BYTES):
        yield pb.ImportSubscribersRequest(data=data)


def _print_result(result: pb.ImportSubscribersResponse) -> None:
    for rejected in result.rejected_lines:
        print_error(f"line {rejected.line}: {plain(rejected.message)}")
    if result.rejected > len(result.rejected_lines):
        print_error(f"and {count(result.rejected - len(result.rejected_lines), 'other line')}")
    typer.echo(
        f"{result.confirmed:,} confirmed, {result.asked:,} asked to confirm, {result.unchanged:,} unchanged; left out: "
        f"{result.suppressed:,} suppressed, {result.unsubscribed:,} unsubscribed, {result.rejected:,} rejected"
    )


def _state(text: str) -> pb.SubscriberState.ValueType:
    if not text:
        return pb.SUBSCRIBER_STATE_UNSPECIFIED
    try:
        return pb.SubscriberState.Value(f"SUBSCRIBER_STATE_{text.upper()}")
    except ValueError:
        raise typer.BadParameter(
            "must be pending, confirmed, unsubscribed or suppressed", param_hint="--state"
        ) from None


def _day(text: str) -> Timestamp:
    try:
        day = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("must be a date such as 2026-05-31, or each", param_hint="--consent-date") from None
    time = Timestamp()
    time.FromDatetime(day if day.tzinfo else day.replace(tzinfo=UTC))
    return time


def _table(found: Sequence[pb.Subscriber]) -> Iterator[Sequence[str]]:
    yield ("address", "state", "language", "time zone", "since", "source", "suppressed because")
    for s in found:
        state = enum_label(pb.SubscriberState.DESCRIPTOR, s.state)
        why = enum_label(pb.SuppressionReason.DESCRIPTOR, s.suppression) if s.suppression else ""
        why = ": ".join(filter(None, (why, s.suppression_detail)))
        yield (s.email, state, s.locale, s.time_zone or "-", time_text(s, "create_time"), s.source or "-", why or "-")
