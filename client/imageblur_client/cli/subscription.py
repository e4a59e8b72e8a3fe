"""`imageblur subscribe`, `confirm` and `unsubscribe`: the weekly mailing."""

from typing import Annotated

import typer

from imageblur_client.cli.session import client_of

_Email = Annotated[str, typer.Argument(metavar="E", help="The address.", show_default=False)]


def subscribe(
    ctx: typer.Context,
    email: _Email,
    locale: Annotated[str, typer.Option(metavar="LANG", help="Language of e-mails, such as en or ru.")] = "",
) -> None:
    """Subscribe an address to the newsletter about the service."""
    with client_of(ctx) as client:
        to_confirm = client.subscribe(email, locale=locale)
    typer.echo("Look into the mailbox: an e-mail tells how to confirm." if to_confirm else "The address is subscribed.")


def confirm(
    ctx: typer.Context,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="From the e-mail.", show_default=False)],
) -> None:
    """Confirm a subscription."""
    with client_of(ctx) as client:
        client.confirm(token)
    typer.echo("The subscription is confirmed.")


def unsubscribe(
    ctx: typer.Context,
    email: Annotated[str | None, typer.Argument(metavar="E", help="The address.", show_default=False)] = None,
    token: Annotated[str | None, typer.Option(metavar="T", help="From any newsletter, instead of the address.")] = None,
) -> None:
    """End a subscription."""
    if (email is None) == (token is None):
        raise typer.BadParameter("give either the address or --token")
    with client_of(ctx) as client:
        client.unsubscribe(email=email, token=token)
    typer.echo("The address is not subscribed now.")
