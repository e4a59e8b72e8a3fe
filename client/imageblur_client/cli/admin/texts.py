"""`imageblur admin texts`, `text`, `set-text`, `reset-text`, `preview-email`: the texts of e-mails."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from imageblur.v1 import operator_newsletter_pb2 as pb

from imageblur_client.cli.admin.output import operator_api, show, time_text
from imageblur_client.cli.context import Json
from imageblur_client.cli.errors import ExitCode, print_error
from imageblur_client.cli.render import enum_label

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of a text, such as newsletter/en/text.txt.", show_default=False)
]


def texts(ctx: typer.Context, as_json: Json = False) -> None:
    """List the texts of e-mails that you may replace."""
    with operator_api(ctx) as operator:
        found = operator.call(operator.stub.ListEmailTexts, pb.ListEmailTextsRequest()).texts
    show(found, _table(found), as_json=as_json)


def text(ctx: typer.Context, name: Name) -> None:
    """Print a text of e-mails."""
    with operator_api(ctx) as operator:
        found = operator.call(operator.stub.ListEmailTexts, pb.ListEmailTextsRequest()).texts
    by_name = {it.name: it.text for it in found}
    if name not in by_name:
        print_error(f"there is no text {name}: see imageblur admin texts")
        raise typer.Exit(ExitCode.NOT_FOUND)
    typer.echo(by_name[name], nl=not by_name[name].endswith("\n"))


def set_text(
    ctx: typer.Context,
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File in UTF-8; - for stdin.", show_default=False)],
) -> None:
    """Replace a text of e-mails, after a check that it can be rendered."""
    try:
        content = (sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read: {error}", param_hint="FILE") from None
    with operator_api(ctx) as operator:
        operator.call(operator.stub.SetEmailText, pb.SetEmailTextRequest(name=name, text=content))
    typer.echo("Stored; mailers use it within five seconds.")


def reset_text(ctx: typer.Context, name: Name) -> None:
    """Use the file or the default text again."""
    with operator_api(ctx) as operator:
        done = operator.call(operator.stub.ResetEmailText, pb.ResetEmailTextRequest(name=name)).reset
    typer.echo("Reset." if done else "The text was not replaced.")


def preview_email(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Such as goodbye or order_ready.", show_default=False)],
    locale: Annotated[str, typer.Option(metavar="LANG", help="Language, such as en or ru.")] = "",
    html: Annotated[bool, typer.Option("--html", help="Print the HTML.")] = False,
) -> None:
    """Print an e-mail with sample values."""
    with operator_api(ctx) as operator:
        found = operator.call(operator.stub.PreviewEmail, pb.PreviewEmailRequest(email=email, locale=locale))
    typer.echo(found.html if html else f"{found.subject}\n\n{found.text}")


def _table(found: Sequence[pb.EmailText]) -> Iterator[Sequence[str]]:
    yield ("name", "from", "characters", "changed", "by")
    for it in found:
        source = enum_label(pb.EmailTextSource.DESCRIPTOR, it.source)
        yield (it.name, source, str(len(it.text)), time_text(it, "update_time"), it.updated_by or "-")
