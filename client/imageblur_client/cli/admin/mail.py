"""The commands of `imageblur admin` about mailings, the mail server, and what is kept of people."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from imageblur.v1 import operator_service_pb2 as pb
from imageblur.v1.operator_pb2 import Mailing, MailingState

from imageblur_client.cli.admin.showing import Limit, Yes, operator_of, show, sure, when
from imageblur_client.cli.failures import ExitCode
from imageblur_client.cli.render import word
from imageblur_client.cli.session import Json
from imageblur_client.cli.text import count, plain

Email = Annotated[str, typer.Argument(metavar="E", help="The address.", show_default=False)]
Locale = Annotated[str, typer.Option(metavar="LANG", help="Language, such as en or ru.")]


def mailings(ctx: typer.Context, limit: Limit = 20, as_json: Json = False) -> None:
    """List mailings, the newest first."""
    with operator_of(ctx) as operator:
        found = operator.ask(operator.stub.ListMailings, pb.ListMailingsRequest(page_size=limit)).mailings
    show(found, _table(found), as_json=as_json)


def run_mailing(ctx: typer.Context, yes: Yes = False) -> None:
    """Send a mailing to all subscribers now; prints its id."""
    sure("Send an e-mail to every subscriber now?", yes=yes)
    with operator_of(ctx) as operator:
        typer.echo(operator.ask(operator.stub.RunMailing, pb.RunMailingRequest()).mailing_id)


def cancel_mailing(
    ctx: typer.Context,
    mailing_id: Annotated[str, typer.Argument(metavar="ID", help="The mailing's id.", show_default=False)],
) -> None:
    """Send no more of a mailing."""
    with operator_of(ctx) as operator:
        operator.ask(operator.stub.CancelMailing, pb.CancelMailingRequest(mailing_id=mailing_id))
    typer.echo("No more of it is sent.")


def preview_mailing(
    ctx: typer.Context, locale: Locale = "", html: Annotated[bool, typer.Option("--html", help="Its HTML.")] = False
) -> None:
    """Show the mailing's e-mail as it would be now."""
    with operator_of(ctx) as operator:
        email = operator.ask(operator.stub.PreviewMailing, pb.PreviewMailingRequest(locale=locale))
    typer.echo(email.html if html else f"{email.subject}\n\n{email.text}")


def try_mailing(ctx: typer.Context, email: Email, locale: Locale = "") -> None:
    """Send that e-mail to one address."""
    with operator_of(ctx) as operator:
        request = pb.SendTestMailingRequest(email=email, locale=locale)
        _tell(operator.ask(operator.stub.SendTestMailing, request))


def check_mail(ctx: typer.Context, email: Email, locale: Locale = "") -> None:
    """Send a short e-mail and explain what the mail server says."""
    with operator_of(ctx) as operator:
        checked = operator.ask(operator.stub.CheckMail, pb.CheckMailRequest(email=email, locale=locale))
    for concern in checked.concerns:
        typer.echo(f"! {plain(concern)}")
    _tell(checked)


def export(ctx: typer.Context, email: Email) -> None:
    """Print all that is kept of an address, as JSON."""
    with operator_of(ctx) as operator:
        typer.echo(operator.ask(operator.stub.ExportPersonalData, pb.ExportPersonalDataRequest(email=email)).json)


def erase(ctx: typer.Context, email: Email, yes: Yes = False) -> None:
    """Delete an address's subscription and orders."""
    sure("Delete all that is kept of this address?", yes=yes)
    with operator_of(ctx) as operator:
        gone = operator.ask(operator.stub.ErasePersonalData, pb.ErasePersonalDataRequest(email=email)).orders
    typer.echo(f"Nothing is kept of it; {count(gone, 'order')} deleted.")


def _tell(answer: pb.SendTestMailingResponse | pb.CheckMailResponse) -> None:
    for line in answer.conversation:
        typer.echo(plain(line))
    typer.echo(f"{'taken' if answer.taken else 'NOT taken'}: {plain(answer.outcome)}")
    if not answer.taken:
        raise typer.Exit(ExitCode.NOT_ALL_SUCCEEDED)


def _table(found: Sequence[Mailing]) -> Iterator[Sequence[str]]:
    yield ("mailing", "period", "state", "made", "recipients", "sent", "failed", "trouble")
    for m in found:
        state, numbers = word(MailingState.DESCRIPTOR, m.state), (m.recipients, m.sent, m.failed)
        yield (m.mailing_id, m.period, state, when(m, "create_time"), *map(str, numbers), m.trouble)
