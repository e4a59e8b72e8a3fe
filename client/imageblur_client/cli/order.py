"""`imageblur order`: place an order."""

import re
import sys
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import grpc
import typer
from imageblur.v1.order_pb2 import BlurSpec, Order

from imageblur_client.cli import spec_options
from imageblur_client.cli.context import Json, client_of
from imageblur_client.cli.errors import print_error
from imageblur_client.cli.files import chosen_files
from imageblur_client.cli.follow import follow
from imageblur_client.cli.progress import upload_progress
from imageblur_client.cli.render import as_dict, json_line
from imageblur_client.cli.text import count, size
from imageblur_client.client import Client
from imageblur_client.errors import FieldViolation, InvalidArgumentError, RetryableError

_Shape = Annotated[
    list[str] | None,
    typer.Option(
        metavar="L,T,W,H",
        show_default=False,
        help="Blur this region only: left, top, width, height as fractions of the image. Can be repeated.",
    ),
]


def order(
    ctx: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILES", help="Images to blur.", show_default=False)],
    *,
    email: Annotated[str, typer.Option("--email", "-e", metavar="E", help="Address that results can be e-mailed to.")],
    sigma: Annotated[
        float | None, typer.Option(metavar="S", help="Gaussian blur: standard deviation in pixels. Default: 5.")
    ] = None,
    relative_sigma: Annotated[
        bool, typer.Option("--relative-sigma", help="--sigma is a fraction of the image's shorter side.")
    ] = False,
    pixelate: Annotated[
        int | None, typer.Option(metavar="N", help="Pixelate in square cells of N pixels instead.")
    ] = None,
    solid: Annotated[
        str | None,
        typer.Option(metavar="RRGGBB", help="Fill with one colour instead; irreversible."),
    ] = None,
    redact: Annotated[
        bool,
        typer.Option(
            "--redact",
            help="A few soft cells across each region; irreversible. The default with --find, --region and --ellipse.",
        ),
    ] = False,
    find: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT",
            show_default=False,
            help="Find and hide: faces, text, codes, custom:MODEL, separated by commas. Classes of text: "
            "text:card+iban+phone+e_mail+plate. What a server can find: `imageblur limits`.",
        ),
    ] = None,
    effort: Annotated[
        spec_options.EffortName | None,
        typer.Option(case_sensitive=False, help="How thoroughly to find. Default: balanced."),
    ] = None,
    min_confidence: Annotated[
        float | None, typer.Option(metavar="0-1", help="Hide only findings of this confidence. Default: the model's.")
    ] = None,
    find_padding: Annotated[
        float | None, typer.Option(metavar="F", help="Enlarge findings by a fraction of their own shorter side.")
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="L,T,W,H", show_default=False, help="Hide no findings here. Can be repeated."),
    ] = None,
    region: _Shape = None,
    ellipse: _Shape = None,
    padding: Annotated[
        float, typer.Option(metavar="F", help="Enlarge regions by a fraction of the shorter side.")
    ] = 0.0,
    feather: Annotated[
        float, typer.Option(metavar="F", help="Soft edge around regions, as a fraction of the shorter side.")
    ] = 0.0,
    invert: Annotated[
        bool, typer.Option("--invert", help="Blur everything except the regions and what is found.")
    ] = False,
    output_format: Annotated[
        spec_options.OutputFormat | None,
        typer.Option("--format", case_sensitive=False, help="Format of the results. Default: each image's own."),
    ] = None,
    quality: Annotated[
        int | None, typer.Option(metavar="1-100", help="Encoder quality of JPEG, WebP, AVIF. Default: 90.")
    ] = None,
    keep_metadata: Annotated[
        bool, typer.Option("--keep-metadata", help="Keep EXIF and XMP (except thumbnails).")
    ] = False,
    notify: Annotated[bool, typer.Option("--notify", help="E-mail the results when the order has finished.")] = False,
    locale: Annotated[str, typer.Option(metavar="LANG", help="Language of e-mails, such as en or ru.")] = "",
    recurse: Annotated[bool, typer.Option("-r", "--recursive", help="Include the images in folders.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Wait until the order has finished, showing progress.")
    ] = False,
    send: Annotated[
        bool, typer.Option("--send", help="Request the e-mail after placing the order, like `send --when-ready`.")
    ] = False,
    request_id: Annotated[
        str | None,
        typer.Option(metavar="UUID", help="Repeating the command with the same UUID creates no second order."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the Order ID only.")] = False,
    as_json: Json = False,
) -> None:
    """Place an order: send images to blur, and print the Order ID.

    Without options: a Gaussian blur of the whole image with a sigma of 5 pixels, in the image's own format. With
    --find: what is found is redacted, and the result is searched once more.
    """
    spec = spec_options.effect(sigma=sigma, relative=relative_sigma, cell=pixelate, color=solid, redact=redact)
    spec.find.extend(spec_options.finds(find or (), min_confidence=min_confidence, padding=find_padding))
    if not find and (effort or exclude or min_confidence is not None or find_padding is not None):
        raise typer.BadParameter("--effort, --min-confidence, --find-padding and --exclude need --find")
    if effort:
        spec.effort = effort.to_proto()
    spec.exclude_regions.extend(spec_options.excluded(exclude or ()))
    spec.regions.extend(spec_options.regions(region or (), ellipse or (), padding=padding, feather=feather))
    if invert and not (spec.regions or spec.find):
        raise typer.BadParameter("needs a --region, an --ellipse or --find", param_hint="--invert")
    if quiet and as_json:
        raise typer.BadParameter("give one of --quiet and --json")
    spec.invert_regions = invert
    spec.keep_metadata = keep_metadata
    if output_format is not None:
        spec.output_format = output_format.to_proto()
    if quality is not None:
        spec.quality = quality
    paths = chosen_files(files, recurse=recurse)
    with client_of(ctx) as client:
        request_id = request_id or str(uuid.uuid4())
        placed = _place(
            client, paths, email=email, spec=spec, notify=notify, locale=locale, request_id=request_id, quiet=quiet
        )
        # Immediately, before anything else can fail: without its ID an order cannot be found.
        typer.echo(_accepted(placed, paths, quiet=quiet, as_json=as_json))
        sys.stdout.flush()
        if send:
            client.send(placed.order_id, when_ready=True)
        if watch:
            raise typer.Exit(follow(client, placed.order_id, quiet=quiet, as_json=as_json))


def _place(
    client: Client,
    paths: list[Path],
    *,
    email: str,
    spec: BlurSpec,
    notify: bool,
    locale: str,
    request_id: str,
    quiet: bool,
) -> Order:
    begun = False
    try:
        with upload_progress(quiet=quiet) as show:

            def on_progress(sent: int, total: int) -> None:
                nonlocal begun
                begun = True
                show(sent, total)

            return client.order(
                email, paths, spec=spec, notify=notify, locale=locale, request_id=request_id, on_progress=on_progress
            )
    except InvalidArgumentError as error:
        raise _with_filenames(error, paths) from None
    except RetryableError as error:
        # A refused order (RESOURCE_EXHAUSTED) was not stored.
        if begun and error.code is not grpc.StatusCode.RESOURCE_EXHAUSTED:
            print_error(f"the order may have been accepted: repeat the command with --request-id {request_id}")
        raise


def _with_filenames(error: InvalidArgumentError, paths: list[Path]) -> InvalidArgumentError:
    """Name the files that the fields of an error are about: `images[2].data (cat.png)`."""

    def named(violation: FieldViolation) -> FieldViolation:
        match = re.match(r"images\[(\d+)\]", violation.field)
        if not match or int(match[1]) >= len(paths):
            return violation
        return replace(violation, field=f"{violation.field} ({paths[int(match[1])]})")

    error.violations = tuple(map(named, error.violations))
    return error


def _accepted(order: Order, paths: list[Path], *, quiet: bool, as_json: bool) -> str:
    if quiet:
        return order.order_id
    if as_json:
        return json_line(order=as_dict(order))
    octets = sum(path.stat().st_size for path in paths if path.exists())
    return f"Order {order.order_id} accepted: {count(len(paths), 'image')}, {size(octets)}"
