"""The options of a blur spec, which several commands share, and the spec that they make."""

from typing import Annotated

import typer
from imageblur.v1.order_pb2 import BlurSpec

from imageblur_client.cli import spec_options
from imageblur_client.cli.shared_options import takes

Sigma = Annotated[
    float | None, typer.Option(metavar="S", help="Gaussian blur: standard deviation in pixels. Default: 5.")
]
RelativeSigma = Annotated[
    bool, typer.Option("--relative-sigma", help="--sigma is a fraction of the image's shorter side.")
]
PixelateCell = Annotated[int | None, typer.Option(metavar="N", help="Pixelate in square cells of N pixels instead.")]
SolidColor = Annotated[str | None, typer.Option(metavar="RRGGBB", help="Fill with one colour instead: irreversible.")]
Shapes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="L,T,W,H",
        show_default=False,
        help="Blur this region only: left, top, width, height as fractions of the image. Can be repeated.",
    ),
]
Polygons = Annotated[
    list[str] | None,
    typer.Option(
        metavar="X,Y,X,Y,X,Y",
        show_default=False,
        help="Blur this polygon only: its corners, as fractions of the image. Can be repeated.",
    ),
]
Brushes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="W:X,Y,X,Y",
        show_default=False,
        help="Blur this stroke of a brush only: its width, as a fraction of the shorter side, and its points. "
        "Can be repeated.",
    ),
]
Padding = Annotated[float, typer.Option(metavar="F", help="Enlarge regions by a fraction of the shorter side.")]
Feather = Annotated[
    float, typer.Option(metavar="F", help="Soft edge around regions, as a fraction of the shorter side.")
]
Invert = Annotated[bool, typer.Option("--invert", help="Blur everything except the regions and what is found.")]
RedactFlag = Annotated[
    bool,
    typer.Option(
        "--redact", help="A few soft cells across each region: irreversible. The default with --find and regions."
    ),
]
Finds = Annotated[
    list[str] | None,
    typer.Option(
        "--find",
        metavar="WHAT",
        show_default=False,
        help="Find and hide: faces, text, codes, custom:MODEL, separated by commas. Classes of text: "
        "text:card+iban+phone+e_mail+plate. What a server can find: `imageblur limits`.",
    ),
]
Effort = Annotated[
    spec_options.EffortName | None,
    typer.Option("--effort", case_sensitive=False, help="How thoroughly to find. Default: balanced."),
]
MinConfidence = Annotated[
    float | None, typer.Option(metavar="0-1", help="Hide only findings of this confidence. Default: the model's.")
]
FindPadding = Annotated[
    float | None, typer.Option(metavar="F", help="Enlarge findings by a fraction of their own shorter side.")
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="L,T,W,H", show_default=False, help="Hide no findings here. Can be repeated."),
]
Output = Annotated[
    spec_options.OutputFormat | None,
    typer.Option("--format", case_sensitive=False, help="Format of the results. Default: each image's own."),
]
Quality = Annotated[int | None, typer.Option(metavar="1-100", help="Encoder quality of JPEG, WebP, AVIF. Default: 90.")]
KeepMetadata = Annotated[bool, typer.Option("--keep-metadata", help="Keep EXIF and XMP (except thumbnails).")]


def make_spec(
    *,
    sigma: Sigma = None,
    relative_sigma: RelativeSigma = False,
    pixelate: PixelateCell = None,
    solid: SolidColor = None,
    redact: RedactFlag = False,
    find: Finds = None,
    effort: Effort = None,
    min_confidence: MinConfidence = None,
    find_padding: FindPadding = None,
    exclude: Exclude = None,
    region: Shapes = None,
    ellipse: Shapes = None,
    polygon: Polygons = None,
    brush: Brushes = None,
    padding: Padding = 0.0,
    feather: Feather = 0.0,
    invert: Invert = False,
    output_format: Output = None,
    quality: Quality = None,
    keep_metadata: KeepMetadata = False,
) -> BlurSpec:
    """Return the spec of these options."""
    spec = spec_options.effect(sigma=sigma, relative=relative_sigma, cell=pixelate, color=solid, redact=redact)
    spec.find.extend(spec_options.finds(find or (), min_confidence=min_confidence, padding=find_padding))
    if not find and (effort or exclude or min_confidence is not None or find_padding is not None):
        raise typer.BadParameter("--effort, --min-confidence, --find-padding and --exclude need --find")
    spec.exclude_regions.extend(spec_options.excluded(exclude or ()))
    spec.regions.extend(
        spec_options.regions(
            boxes=region or (),
            ellipses=ellipse or (),
            polygons=polygon or (),
            brushes=brush or (),
            padding=padding,
            feather=feather,
        )
    )
    if invert and not (spec.regions or spec.find):
        raise typer.BadParameter(
            "needs a region (--region, --ellipse, --polygon, --brush) or --find", param_hint="--invert"
        )
    if effort is not None:
        spec.effort = effort.to_proto()
    spec.invert_regions = invert
    spec.keep_metadata = keep_metadata
    if output_format is not None:
        spec.output_format = output_format.to_proto()
    if quality is not None:
        spec.quality = quality
    return spec


takes_spec = takes("spec", make_spec)
"""Decorates a command: it takes the options of `make_spec` in place of its parameter `spec`, a BlurSpec."""
