"""`imageblur send` and `imageblur download`: results by e-mail or to this machine."""

import errno
from pathlib import Path
from typing import Annotated

import typer
from imageblur.v1.order_pb2 import DeliveryState

from imageblur_client.cli.context import Json, OrderId, client_of
from imageblur_client.cli.errors import ExitCode
from imageblur_client.cli.progress import download_progress
from imageblur_client.cli.render import as_dict, delivery_line, json_line
from imageblur_client.cli.text import plain
from imageblur_client.client import Client

_ARCHIVE = "blur_images.zip"


def send(
    ctx: typer.Context,
    order_id: OrderId,
    email: Annotated[
        str,
        typer.Option(
            "--email", "-e", metavar="E", show_default=False, help="Address of an order that was placed without one."
        ),
    ] = "",
    when_ready: Annotated[
        bool, typer.Option("--when-ready", help="If the order has not finished, e-mail the results when it has.")
    ] = False,
    as_json: Json = False,
) -> None:
    """E-mail the results as an archive to the order's address."""
    with client_of(ctx) as client:
        delivery = client.send(order_id, email=email, when_ready=when_ready)
    typer.echo(json_line(delivery=as_dict(delivery)) if as_json else f"E-mail: {delivery_line(delivery)}")
    if delivery.state == DeliveryState.DELIVERY_STATE_FAILED:
        raise typer.Exit(ExitCode.NOT_ALL_SUCCEEDED)


def download(
    ctx: typer.Context,
    order_id: OrderId,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write to; created if needed.")
    ],
    archive: Annotated[bool, typer.Option("--archive", help=f"Download one ZIP archive, {_ARCHIVE}.")] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace existing files.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Download the available results; print the path of each file."""
    with client_of(ctx) as client:
        if not archive:
            save_results(client, order_id, output, replace=force, quiet=quiet)
            return
        target = output / _ARCHIVE
        if target.exists() and not force:
            raise FileExistsError(errno.EEXIST, "exists already: use --force to replace it", str(target))
        with download_progress(quiet=quiet) as show:
            saved = client.download_archive(order_id, target, replace=force, on_bytes=show)
        typer.echo(plain(str(saved)))


def save_results(
    client: Client, order_id: str, folder: Path, *, replace: bool = False, quiet: bool = False, shown: bool = True
) -> None:
    """Download the results of an order, and print the path of each file, also if not all arrive.

    Args:
        client: The client.
        order_id: ID of the order.
        folder: Where to; created if needed.
        replace: Replace existing files.
        quiet: Show no progress.
        shown: Print the paths.
    """
    saved: list[Path] = []
    try:
        with download_progress(quiet=quiet) as show:
            client.download(order_id, folder, replace=replace, on_bytes=show, on_file=saved.append)
    finally:
        for path in saved if shown else ():
            typer.echo(plain(str(path)))
