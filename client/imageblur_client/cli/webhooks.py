"""`imageblur webhook-secret`."""

from typing import Annotated

import typer

from imageblur_client.cli.context import Json, client_of
from imageblur_client.cli.render import json_line


def webhook_secret(
    ctx: typer.Context,
    *,
    rotate: Annotated[
        bool,
        typer.Option(
            "--rotate", help="Replace the secret first. For 24 hours webhooks are signed with the former one, too."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the secret that signs the webhooks of your orders."""
    with client_of(ctx) as client:
        secret = client.rotate_webhook_secret() if rotate else client.webhook_secret()
    typer.echo(json_line(secret=secret) if as_json else secret)
