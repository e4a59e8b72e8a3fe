"""`imageblur status` and `imageblur watch`: the state of an order."""

from typing import Annotated

import typer

from imageblur_client.cli.context import Json, OrderId, client_of
from imageblur_client.cli.follow import follow
from imageblur_client.cli.render import as_dict, image_lines, json_line, order_lines


def status(
    ctx: typer.Context,
    order_id: OrderId,
    images: Annotated[bool, typer.Option("--images", help="List the images.")] = False,
    as_json: Json = False,
) -> None:
    """Show an order."""
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

    Waits for an open delivery, too. Exits with 1 if an image or the delivery failed, or if a result still shows
    what was to be hidden.

    With --json prints each change: the order, and the images that changed.
    """
    with client_of(ctx) as client:
        raise typer.Exit(follow(client, order_id, as_json=as_json))
