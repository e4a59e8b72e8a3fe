"""`imageblur admin mailings`, `run-mailing`, `cancel-mailing`, `preview-mailing`, `send-test-mailing`, `check-mail`."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_pb2 import Mailing, MailingState

from imageblur_client.cli.admin.output import Limit, Yes, confirm, operator_api, show, time_text
from imageblur_client.cli.context import Json
from imageblur_client.cli.errors import ExitCode
from imageblur_client.cli.render import enum_label
from imageblur_client.cli.text import plain

Email = Annotated[str, typer.Argument(metavar="E", help="Recipient.", show_default=False)]
Locale = Annotated[str, typer.Option(metavar="LANG", help="Language, such as en or ru.")]


def mailings(ctx: typer.Context, limit: Limit = 20, as_json: Json = False) -> None:
    """List mailings with their progress, newest first."""
    with operator_api(ctx) as operator:
        found = operator.call(operator.stub.ListMailings, pb.ListMailingsRequest(page_size=limit)).mailings
    show(found, _table(found), as_json=as_json)


def run_mailing(ctx: typer.Context, yes: Yes = False) -> None:
    """Send the newsletter to all subscribers now; print the ID of the mailing."""
    confirm("Send the newsletter to all subscribers now?", yes=yes)
    with operator_api(ctx) as operator:
        typer.echo(operator.call(operator.stub.RunMailing, pb.RunMailingRequest()).mailing_id)


def cancel_mailing(
    ctx: typer.Context,
    mailing_id: Annotated[str, typer.Argument(metavar="ID", help="ID of the mailing.", show_default=False)],
) -> None:
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


def _show_result(result: pb.SendTestMailingResponse | pb.CheckMailResponse) -> None:
    for line in result.transcript:
        typer.echo(plain(line))
    typer.echo(f"{'accepted' if result.accepted else 'NOT accepted'}: {plain(result.server_reply)}")
    if not result.accepted:
        raise typer.Exit(ExitCode.NOT_ALL_SUCCEEDED)


def _table(found: Sequence[Mailing]) -> Iterator[Sequence[str]]:
    yield ("mailing", "period", "state", "created", "recipients", "queued", "sent", "failed", "cancelled", "last error")
    for m in found:
        state, numbers = (
            enum_label(MailingState.DESCRIPTOR, m.state),
            (m.recipients, m.queued, m.sent, m.failed, m.cancelled),
        )
        yield (m.mailing_id, m.period, state, time_text(m, "create_time"), *map(str, numbers), m.last_error)
