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

_ARCHIVE = "blur_images.zip"


def send(
    ctx: typer.Context,
    order_id: OrderId,
    when_ready: Annotated[
        bool, typer.Option("--when-ready", help="If the order has not finished, e-mail the results when it has.")
    ] = False,
    as_json: Json = False,
) -> None:
    """E-mail the results as an archive to the order's address."""
    with client_of(ctx) as client:
        delivery = client.send(order_id, when_ready=when_ready)
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
    saved: list[Path] = []
    try:
        with client_of(ctx) as client, download_progress(quiet=quiet) as show:
            if archive:
                target = output / _ARCHIVE
                if target.exists() and not force:
                    raise FileExistsError(errno.EEXIST, "exists already: use --force to replace it", str(target))
                saved.append(client.download_archive(order_id, target, replace=force, on_bytes=show))
            else:
                client.download(order_id, output, replace=force, on_bytes=show, on_file=saved.append)
    finally:
        for path in saved:
            typer.echo(plain(str(path)))
