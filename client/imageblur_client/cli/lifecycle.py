"""`imageblur cancel`, `imageblur delete` and `imageblur limits`."""

import typer

from imageblur_client.cli.context import Json, OrderId, client_of
from imageblur_client.cli.render import as_dict, json_line, limits_lines, order_lines


def cancel(ctx: typer.Context, order_id: OrderId, as_json: Json = False) -> None:
    """Cancel an order; existing results are kept."""
    with client_of(ctx) as client:
        order = client.cancel(order_id)
    for line in [json_line(order=as_dict(order))] if as_json else order_lines(order):
        typer.echo(line)


def delete(ctx: typer.Context, order_id: OrderId) -> None:
    """Delete an order with its images, results and address."""
    with client_of(ctx) as client:
        client.delete(order_id)


def limits(ctx: typer.Context, as_json: Json = False) -> None:
    """Show the limits of the server."""
    with client_of(ctx) as client:
        found = client.limits()
    for line in [json_line(**as_dict(found))] if as_json else limits_lines(found):
        typer.echo(line)
