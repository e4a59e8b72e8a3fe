"""`imageblur status` and `imageblur watch`: how an order stands."""

from typing import Annotated

import typer

from imageblur_client.cli.following import follow
from imageblur_client.cli.render import as_dict, image_lines, json_line, order_lines
from imageblur_client.cli.session import Json, OrderId, client_of


def status(
    ctx: typer.Context,
    order_id: OrderId,
    images: Annotated[bool, typer.Option("--images", help="List the images, too.")] = False,
    as_json: Json = False,
) -> None:
    """Show how an order stands."""
    with client_of(ctx) as client:
        order = client.status(order_id).order
        found = client.images(order_id) if images else iter(())
        if as_json:
            listed = {"images": [as_dict(image) for image in found]} if images else {}
            typer.echo(json_line(order=as_dict(order), **listed))
            return
        for line in order_lines(order):
            typer.echo(line)
        for line in image_lines(found):
            typer.echo(line)


def watch(ctx: typer.Context, order_id: OrderId, as_json: Json = False) -> None:
    """Follow an order until it has finished.

    With a mail under way, until that is sent. Exits with 1 if not everything went well.

    With --json every change is a line: the order, and the images that changed.
    """
    with client_of(ctx) as client:
        raise typer.Exit(follow(client, order_id, as_json=as_json))
