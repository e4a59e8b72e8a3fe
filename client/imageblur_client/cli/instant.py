"""`imageblur blur` and `imageblur find`: one image, answered at once; the server keeps nothing of it."""

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from imageblur.v1.blur_service_pb2 import FindRegionsResponse
from imageblur.v1.order_pb2 import BlurSpec, CheckState, Effort, Finding, FindingKind

from imageblur_client.cli import spec_arguments, spec_options
from imageblur_client.cli.context import Json, client_of
from imageblur_client.cli.draw import draw_findings
from imageblur_client.cli.errors import ExitCode
from imageblur_client.cli.render import as_dict, enum_label, json_line
from imageblur_client.cli.text import count, plain
from imageblur_client.errors import ImageBlurClientError

_DRAWN_SIDE = 2048
_File = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The image.", show_default=False)
]


@spec_arguments.takes_spec
def blur(
    ctx: typer.Context,
    file: _File,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to write.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace an existing file.")] = False,
    spec: BlurSpec,
    as_json: Json = False,
) -> None:
    """Blur one image at once; nothing of it is kept on the server.

    Exits with 1 if the result still shows what was to be hidden.
    """
    if output.exists() and not force:
        raise FileExistsError(errno.EEXIST, "exists already: use --force to replace it", str(output))
    with client_of(ctx) as client, _naming(file):
        blurred = client.blur_image(file, spec=spec)
    output.write_bytes(blurred.data)
    if as_json:
        blurred.ClearField("data")
        typer.echo(json_line(path=str(output), **{k: v for k, v in as_dict(blurred).items() if k != "data"}))
    else:
        typer.echo(plain(str(output)))
        for line in finding_lines(blurred.findings):
            typer.echo(line)
    if blurred.check.state == CheckState.CHECK_STATE_REMAINING:
        if not as_json:
            typer.echo(f"Still visible: {count(len(blurred.check.remaining), 'finding')}. Look at the result.")
        raise typer.Exit(ExitCode.NOT_ALL_SUCCEEDED)


def find(
    ctx: typer.Context,
    file: _File,
    *,
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--find",
            metavar="WHAT",
            show_default=False,
            help="What: faces, text, text:CLASS+CLASS, codes, custom:MODEL, separated by commas. Default: all that the "
            "server finds.",
        ),
    ] = None,
    effort: spec_arguments.Effort = None,
    draw: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the image as the server sees it, at most 2,048 pixels wide and high, with the findings drawn "
            "into it. Needs Pillow.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Find what could be hidden in one image; nothing of it is kept on the server."""
    with client_of(ctx) as client, _naming(file):
        wanted = spec_options.finds(kinds or ()) or spec_options.all_finds(client.limits().find_models)
        found = client.find_regions(
            file,
            wanted,
            effort=effort.to_proto() if effort else Effort.EFFORT_UNSPECIFIED,
            preview_side=_DRAWN_SIDE if draw else 0,
        )
    if draw:
        draw_findings(found.preview, found.findings, draw)
        found.ClearField("preview")
    for line in _found_lines(found, as_json=as_json):
        typer.echo(line)


def finding_lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield a line for each finding: what, how sure, where in fractions of the image."""
    for finding in findings:
        kind = enum_label(FindingKind.DESCRIPTOR, finding.kind)
        label = f" {plain(finding.label)}" if finding.label else ""
        box = finding.box
        where = f"{box.left:.4f},{box.top:.4f},{box.width:.4f},{box.height:.4f}"
        yield f"{kind:7}{label}  {finding.confidence:.2f}  {where}"


def _found_lines(found: FindRegionsResponse, *, as_json: bool) -> Iterator[str]:
    if as_json:
        yield json_line(**as_dict(found))
        return
    yield from finding_lines(found.findings)
    if not found.findings:
        yield "nothing found"


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Name the file in the server's errors, which know it by its field only."""
    try:
        yield
    except ImageBlurClientError as error:
        raise error.about(str(file)) from error
