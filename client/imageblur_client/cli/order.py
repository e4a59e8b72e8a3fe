"""`imageblur order`: place an order."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from imageblur.v1.blur_service_pb2 import Source
from imageblur.v1.order_pb2 import BlurSpec, Order

from imageblur_client.cli import spec_arguments
from imageblur_client.cli.context import Json, client_of
from imageblur_client.cli.files import chosen_files
from imageblur_client.cli.follow import follow
from imageblur_client.cli.place_order import OrderOptions, RemoteImages, place_order
from imageblur_client.cli.render import as_dict, json_line
from imageblur_client.cli.results import save_results
from imageblur_client.cli.text import count, duration, size
from imageblur_client.sources import listing as make_listing
from imageblur_client.sources import source as make_source
from imageblur_client.sources import target as make_target


@spec_arguments.takes_spec
def order(
    ctx: typer.Context,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILES]...", help="Images to blur.", show_default=False)
    ] = None,
    *,
    email: Annotated[
        str | None,
        typer.Option(
            "--email",
            "-e",
            metavar="E",
            show_default=False,
            help="Address that results can be e-mailed to; needed with --notify and --send only.",
        ),
    ] = None,
    spec: BlurSpec,
    notify: Annotated[bool, typer.Option("--notify", help="E-mail the results when the order has finished.")] = False,
    locale: Annotated[str, typer.Option(metavar="LANG", help="Language of e-mails, such as en or ru.")] = "",
    recurse: Annotated[bool, typer.Option("-r", "--recursive", help="Include the images in folders.")] = False,
    keep_originals: Annotated[
        str | None,
        typer.Option(
            "--keep-originals",
            metavar="TIME",
            show_default=False,
            help="Keep the originals so long after the order has finished, so that `revise` is possible: 30m, 1h, 24h.",
        ),
    ] = None,
    webhook: Annotated[
        str,
        typer.Option(
            "--webhook",
            metavar="URL",
            help="https:// address to which the order's events are posted. `webhook-secret` prints what signs them.",
        ),
    ] = "",
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            metavar="SOURCE",
            show_default=False,
            help="An image that the server fetches: https://… or place:key. Can be repeated.",
        ),
    ] = None,
    from_place: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="PLACE[:DIR]",
            show_default=False,
            help="All images of a place that the operator has named, or of a folder in it. Can be repeated.",
        ),
    ] = None,
    pattern: Annotated[
        str, typer.Option(metavar="GLOB", help="With --from: only files whose path matches, such as '*.tif'.")
    ] = "",
    to_place: Annotated[
        str, typer.Option("--to", metavar="PLACE[:DIR]", help="A place to which the server writes the results, too.")
    ] = "",
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Wait until the order has finished, showing progress.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            show_default=False,
            help="Wait until the order has finished, and download the results into this folder.",
        ),
    ] = None,
    send: Annotated[
        bool, typer.Option("--send", help="Request the e-mail after placing the order, like `send --when-ready`.")
    ] = False,
    request_id: Annotated[
        str | None,
        typer.Option(metavar="UUID", help="Repeating the command with the same UUID creates no second order."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with the upload of the same files and options that was killed or gave up."
        ),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the Order ID only.")] = False,
    as_json: Json = False,
) -> None:
    """Place an order: send images to blur, and print the Order ID. With --output, download the results too.

    Without options: a Gaussian blur of the whole image with a sigma of 5 pixels, in the image's own format. With
    --find: what is found is redacted, and the result is searched once more.

    After a lost connection, an upload goes on by itself; after a kill, the same command with --resume goes on with it.
    """
    if quiet and as_json:
        raise typer.BadParameter("give one of --quiet and --json")
    if (notify or send) and not email:
        raise typer.BadParameter("give the address that the results are e-mailed to", param_hint="--email")
    keep = duration(keep_originals, "--keep-originals") if keep_originals else None
    if pattern and not from_place:
        raise typer.BadParameter("is for --from", param_hint="--pattern")
    if not (files or source or from_place):
        raise typer.BadParameter("give files, --source or --from", param_hint="FILES")
    paths = chosen_files(files or [], recurse=recurse)
    remote = RemoteImages(
        sources=[_source(text) for text in source or ()],
        listings=[make_listing(text, pattern) for text in from_place or ()],
        target=make_target(to_place) if to_place else None,
    )
    with client_of(ctx) as client:
        options = OrderOptions(
            email=email or "",
            spec=spec,
            notify=notify,
            locale=locale,
            keep=keep,
            webhook=webhook,
            remote=remote,
            request_id=request_id,
        )
        placed = place_order(client, paths, options, resume=resume, quiet=quiet)
        # Immediately, before anything else can fail: without its ID an order cannot be found.
        typer.echo(_accepted(placed, paths, remote, quiet=quiet, as_json=as_json))
        if not (email or watch or output or quiet or as_json):
            typer.echo(f"Results: imageblur download {placed.order_id} -o DIR")
        sys.stdout.flush()
        if send:
            client.send(placed.order_id, when_ready=True)
        if watch or output:
            code = follow(client, placed.order_id, quiet=quiet, as_json=as_json)
            if output:
                save_results(client, placed.order_id, output, quiet=quiet or as_json, shown=not (quiet or as_json))
            raise typer.Exit(code)


def _source(text: str) -> Source:
    try:
        return make_source(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--source") from None


def _accepted(order: Order, paths: list[Path], remote: RemoteImages, *, quiet: bool, as_json: bool) -> str:
    if quiet:
        return order.order_id
    if as_json:
        return json_line(order=as_dict(order))
    octets = sum(path.stat().st_size for path in paths if path.exists())
    sent = f", {size(octets)}" if paths else ""
    total = order.counts.total if remote.listings else len(paths) + len(remote.sources)
    return f"Order {order.order_id} accepted: {count(total, 'image')}{sent}"
