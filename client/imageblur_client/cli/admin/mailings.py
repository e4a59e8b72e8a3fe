"""`imageblur admin mailings`, `run-mailing`, `pause-mailing`, …, `preview-mailing`, `check-mail`."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from imageblur.v1 import operator_newsletter_pb2 as news
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_pb2 import Mailing, MailingState

from imageblur_client.cli.admin.output import Limit, Yes, confirm, operator_api, show, time_text
from imageblur_client.cli.context import Json
from imageblur_client.cli.errors import ExitCode
from imageblur_client.cli.render import enum_label
from imageblur_client.cli.text import plain

Email = Annotated[str, typer.Argument(metavar="E", help="Recipient.", show_default=False)]
MailingId = Annotated[str, typer.Argument(metavar="ID", help="ID of the mailing.", show_default=False)]
Locale = Annotated[str, typer.Option(metavar="LANG", help="Language, such as en or ru.")]


def mailings(ctx: typer.Context, limit: Limit = 20, as_json: Json = False) -> None:
    """List mailings with their progress, newest first."""
    with operator_api(ctx) as operator:
        found = operator.call(operator.stub.ListMailings, pb.ListMailingsRequest(page_size=limit)).mailings
    show(found, _table(found), as_json=as_json)


def run_mailing(  # noqa: PLR0917 - a command
    ctx: typer.Context,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Send it at this time, such as 2026-12-07T09:00+01:00.", show_default=False),
    ] = None,
    local_time: Annotated[
        str, typer.Option(metavar="TIME", help="Send it at this time by each reader's clock, such as 2026-12-07T09:00.")
    ] = "",
    window: Annotated[
        str, typer.Option(metavar="HH:MM-HH:MM", help="Send only within this part of each day, such as 09:00-18:00.")
    ] = "",
    max_per_hour: Annotated[int, typer.Option(min=0, metavar="N", help="Most e-mails an hour. 0: no limit.")] = 0,
    yes: Yes = False,
) -> None:
    """Send the newsletter to all confirmed subscribers, now or at a time; print the ID of the mailing."""
    request = pb.RunMailingRequest(local_time=local_time, max_per_hour=max_per_hour, request_id=str(uuid4()))
    if at is not None:
        request.send_time.CopyFrom(_time(at))
    if window:
        request.window.CopyFrom(_window(window))
    with operator_api(ctx) as operator:
        if not yes:
            counts = operator.call(operator.stub.CountSubscribers, news.CountSubscribersRequest())
            when = f"at {at}" if at else f"at {local_time} by each reader's clock" if local_time else "now"
            confirm(f"Send the newsletter to all ({counts.confirmed:,}) {when}?", yes=False)
        typer.echo(operator.call(operator.stub.RunMailing, request).mailing_id)


def pause_mailing(ctx: typer.Context, mailing_id: MailingId) -> None:
    """Pause a mailing until it is resumed; e-mails being sent may still arrive."""
    with operator_api(ctx) as operator:
        operator.call(operator.stub.PauseMailing, news.PauseMailingRequest(mailing_id=mailing_id))
    typer.echo("Paused.")


def resume_mailing(ctx: typer.Context, mailing_id: MailingId) -> None:
    """Resume a paused mailing."""
    with operator_api(ctx) as operator:
        operator.call(operator.stub.ResumeMailing, news.ResumeMailingRequest(mailing_id=mailing_id))
    typer.echo("Resumed.")


def cancel_mailing(ctx: typer.Context, mailing_id: MailingId) -> None:
    """Cancel a mailing; e-mails being sent may still arrive."""
    with operator_api(ctx) as operator:
        operator.call(operator.stub.CancelMailing, pb.CancelMailingRequest(mailing_id=mailing_id))
    typer.echo("Cancelled.")


def preview_mailing(
    ctx: typer.Context,
    locale: Locale = "",
    html: Annotated[bool, typer.Option("--html", help="Print the HTML.")] = False,
) -> None:
    """Print the newsletter as it would be sent now."""
    with operator_api(ctx) as operator:
        email = operator.call(operator.stub.PreviewMailing, pb.PreviewMailingRequest(locale=locale))
    typer.echo(email.html if html else f"{email.subject}\n\n{email.text}")


def send_test_mailing(ctx: typer.Context, email: Email, locale: Locale = "") -> None:
    """Send the newsletter to one address."""
    with operator_api(ctx) as operator:
        request = pb.SendTestMailingRequest(email=email, locale=locale)
        _show_result(operator.call(operator.stub.SendTestMailing, request))


def check_mail(ctx: typer.Context, email: Email, locale: Locale = "") -> None:
    """Send a short e-mail and explain the mail server's replies."""
    with operator_api(ctx) as operator:
        checked = operator.call(operator.stub.CheckMail, pb.CheckMailRequest(email=email, locale=locale))
    for warning in checked.warnings:
        typer.echo(f"! {plain(warning)}")
    _show_result(checked)


def _time(text: str) -> Timestamp:
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter("must be a time such as 2026-12-07T09:00+01:00", param_hint="--at") from None
    time = Timestamp()
    time.FromDatetime(moment)
    return time


def _window(text: str) -> news.SendingWindow:
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", text)
    if match is None:
        raise typer.BadParameter("must be two times such as 09:00-18:00", param_hint="--window")
    begin_hour, begin, end_hour, end = map(int, match.groups())
    return news.SendingWindow(begin_minute=60 * begin_hour + begin, end_minute=60 * end_hour + end)


def _show_result(result: pb.SendTestMailingResponse | pb.CheckMailResponse) -> None:
    for line in result.transcript:
        typer.echo(plain(line))
    typer.echo(f"{'accepted' if result.accepted else 'NOT accepted'}: {plain(result.server_reply)}")
    if not result.accepted:
        raise typer.Exit(ExitCode.NOT_ALL_SUCCEEDED)


def _table(found: Sequence[Mailing]) -> Iterator[Sequence[str]]:
    numbers = ("recipients", "queued", "sent", "failed", "cancelled", "bounced", "complaints")
    yield ("mailing", "period", "state", "due", *numbers, "last error")
    for m in found:
        state, due = enum_label(MailingState.DESCRIPTOR, m.state), m.local_time or time_text(m, "due_time")
        counts = (m.recipients, m.queued, m.sent, m.failed, m.cancelled, m.hard_bounces + m.soft_bounces, m.complaints)
        yield (m.mailing_id, m.period, state, due, *map(str, counts), m.last_error)
