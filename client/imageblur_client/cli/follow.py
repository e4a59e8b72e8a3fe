"""Follows an order until it has finished."""

import typer
from imageblur.v1.order_pb2 import CheckState, DeliveryState, Image, ImageState, Order, OrderState

from imageblur_client.cli.errors import ExitCode
from imageblur_client.cli.progress import order_progress
from imageblur_client.cli.render import as_dict, image_lines, json_line, order_lines
from imageblur_client.client import Client


def follow(client: Client, order_id: str, *, quiet: bool = False, as_json: bool = False) -> ExitCode:
    """Watch an order until it has finished and no delivery is open, print the result, and return the exit code.

    Args:
        client: The client.
        order_id: ID of the order.
        quiet: Print nothing.
        as_json: Print each change instead.
    """
    order = Order()
    to_look_at: dict[str, Image] = {}
    with order_progress(quiet=quiet or as_json) as show:
        for change in client.watch(order_id):
            order = change.order
            for image in change.changed_images:
                remains = image.check.state == CheckState.CHECK_STATE_REMAINING
                if remains or image.state == ImageState.IMAGE_STATE_FAILED:
                    to_look_at[image.image_id] = image
                else:
                    to_look_at.pop(image.image_id, None)
            show(order)
            if as_json:
                typer.echo(json_line(**as_dict(change)))
    if not quiet and not as_json:
        for line in order_lines(order):
            typer.echo(line)
        for line in image_lines(sorted(to_look_at.values(), key=lambda image: image.position)):
            typer.echo(line)
    return ExitCode.NOT_ALL_SUCCEEDED if to_look_at else outcome(order)


def outcome(order: Order) -> ExitCode:
    """Return the exit code for a finished order; of several deliveries the newest counts."""
    mail_failed = order.deliveries and order.deliveries[0].state == DeliveryState.DELIVERY_STATE_FAILED
    if order.state != OrderState.ORDER_STATE_SUCCEEDED or mail_failed:
        return ExitCode.NOT_ALL_SUCCEEDED
    return ExitCode.OK
