"""`imageblur subscribe`, `confirm` and `unsubscribe`: the newsletter."""

from typing import Annotated

import typer

from imageblur_client.cli.context import client_of

_Email = Annotated[str, typer.Argument(metavar="E", help="E-mail address.", show_default=False)]


def subscribe(
    ctx: typer.Context,
    email: _Email,
    locale: Annotated[str, typer.Option(metavar="LANG", help="Language of e-mails, such as en or ru.")] = "",
) -> None:
    """Subscribe an address to the newsletter."""
    with client_of(ctx) as client:
        to_confirm = client.subscribe(email, locale=locale)
    typer.echo("Check the mailbox for an e-mail to confirm the subscription." if to_confirm else "Subscribed.")


def confirm(
    ctx: typer.Context,
    token: Annotated[
        str, typer.Argument(metavar="TOKEN", help="Token from the e-mail that asks for it.", show_default=False)
    ],
) -> None:
    """Confirm a subscription, or that an address wants results by e-mail."""
    with client_of(ctx) as client:
        client.confirm(token)
    typer.echo("Confirmed.")


def unsubscribe(
    ctx: typer.Context,
    email: Annotated[str | None, typer.Argument(metavar="E", help="E-mail address.", show_default=False)] = None,
    token: Annotated[
        str | None, typer.Option(metavar="T", help="Token from a newsletter, instead of the address.")
    ] = None,
) -> None:
    """End a subscription."""
    if (email is None) == (token is None):
        raise typer.BadParameter("give either the address or --token")
    with client_of(ctx) as client:
        client.unsubscribe(email=email, token=token)
    typer.echo("Unsubscribed.")
