"""`imageblur revise` and `imageblur done`: correct the images of an order, and have its originals deleted."""

import uuid
from typing import Annotated

import grpc
import typer
from imageblur.v1.order_pb2 import BlurSpec

from imageblur_client.cli import spec_arguments
from imageblur_client.cli.context import Json, OrderId, client_of
from imageblur_client.cli.errors import print_error
from imageblur_client.cli.follow import follow
from imageblur_client.cli.render import as_dict, json_line, order_lines
from imageblur_client.errors import RetryableError


@spec_arguments.takes_spec
def revise(
    ctx: typer.Context,
    order_id: OrderId,
    *,
    position: Annotated[
        list[int] | None,
        typer.Option(
            "--image",
            "-i",
            min=1,
            metavar="N",
            show_default=False,
            help="Position of an image to blur again. Can be repeated. Default: all.",
        ),
    ] = None,
    spec: BlurSpec,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Wait until the order has finished, showing progress.")
    ] = False,
    request_id: Annotated[
        str | None, typer.Option(metavar="UUID", help="Repeating the command with the same UUID changes nothing more.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Blur images of a finished order again, from their originals, with another spec.

    The order must have been placed with --keep-originals. Former results stay until the new ones replace them.
    """
    request_id = request_id or str(uuid.uuid4())
    with client_of(ctx) as client:
        specs = None
        if position:
            ids = {image.position: image.image_id for image in client.images(order_id)}
            if unknown := [each for each in position if each not in ids]:
                raise typer.BadParameter(f"the order has no image {unknown[0]}", param_hint="--image")
            specs = {ids[each]: spec for each in position}
        try:
            order = client.revise_images(order_id, specs or spec, request_id=request_id)
        except RetryableError as error:
            if error.code is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                print_error(f"the images may be blurred again: repeat the command with --request-id {request_id}")
            raise
        if watch:
            raise typer.Exit(follow(client, order_id, as_json=as_json))
    for line in [json_line(order=as_dict(order))] if as_json else order_lines(order):
        typer.echo(line)


def done(ctx: typer.Context, order_id: OrderId, as_json: Json = False) -> None:
    """Delete the originals that an order keeps for `revise`; its results are kept."""
    with client_of(ctx) as client:
        order = client.delete_originals(order_id)
    for line in [json_line(order=as_dict(order))] if as_json else order_lines(order):
        typer.echo(line)
