"""All commands in one place, and what they have in common."""

import importlib.metadata
import os
from pathlib import Path
from typing import Annotated

import typer

from imageblur_client.channel import DEFAULT_SERVER, Security
from imageblur_client.cli.admin import app as admin
from imageblur_client.cli.delivery import download, send
from imageblur_client.cli.failures import CommandGroup
from imageblur_client.cli.lifecycle import cancel, delete, limits
from imageblur_client.cli.order import order
from imageblur_client.cli.session import Session
from imageblur_client.cli.status import status, watch
from imageblur_client.cli.subscription import confirm, subscribe, unsubscribe

# \b keeps click from joining the lines.
_EXIT_CODES = """\b
Exit codes:
  0    all went well
  1    the order finished, but not every image was blurred, or the mail failed
  2    the command line is wrong, or a file to send is not there
  3    the server refused what was asked: an argument is wrong, the order is
       not in the state for it, or the key may not
  4    there is no such order
  5    the server cannot be reached or is busy: try again later
  6    anything else
  130  interrupted by Ctrl-C
"""

app = typer.Typer(
    cls=CommandGroup,
    help="Blurs images in bulk with an ImageBlur server: place orders, follow them, fetch the results.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    # Panels drawn with box characters are for neither pipes nor logs.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"imageblur {importlib.metadata.version('imageblur')}")
        raise typer.Exit


def _key(file: Path | None) -> str | None:
    # Not an option: the command lines of a machine are there for all its users to see.
    if file is None:
        return os.environ.get("IMAGEBLUR_API_KEY") or None
    key = file.read_text(encoding="utf-8", errors="replace").strip()
    if not key.isascii() or not key.isprintable():
        raise typer.BadParameter(f"{file} does not hold an API key", param_hint="--key-file")
    return key


@app.callback()
def common(  # noqa: PLR0917 - typer calls it by name
    ctx: typer.Context,
    server: Annotated[
        str, typer.Option(envvar="IMAGEBLUR_SERVER", metavar="HOST:PORT", help="Where the server listens.")
    ] = DEFAULT_SERVER,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            metavar="SECONDS",
            help="Give up after so long. Default: 30 s for an answer, no limit for uploads, downloads and watching.",
            show_default=False,
        ),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(envvar="IMAGEBLUR_API_KEY_FILE", metavar="FILE", help="API key; or the key in IMAGEBLUR_API_KEY."),
    ] = None,
    tls: Annotated[
        bool | None,
        typer.Option("--tls/--no-tls", envvar="IMAGEBLUR_TLS", help="Use TLS; the default where a file says so."),
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option(
            envvar="IMAGEBLUR_CA_FILE", metavar="PEM", help="Roots to know the server by. Default: this machine's."
        ),
    ] = None,
    cert_file: Annotated[
        Path | None,
        typer.Option(envvar="IMAGEBLUR_CERT_FILE", metavar="PEM", help="This client's certificate, for mutual TLS."),
    ] = None,
    cert_key_file: Annotated[
        Path | None, typer.Option(envvar="IMAGEBLUR_CERT_KEY_FILE", metavar="PEM", help="Its key.")
    ] = None,
    plaintext_key: Annotated[
        bool,
        typer.Option("--plaintext-key", envvar="IMAGEBLUR_PLAINTEXT_KEY", help="Send the key without TLS, too."),
    ] = False,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Keeps what is said before the command's name for the command."""
    if (cert_file is None) != (cert_key_file is None):
        raise typer.BadParameter("--cert-file and --cert-key-file: give both or neither")
    security = Security(_key(key_file), tls, ca_file, cert_file, cert_key_file, plaintext_key)
    ctx.obj = Session(server, timeout, security)


for command in (order, status, watch, send, download, cancel, delete, limits, subscribe, confirm, unsubscribe):
    app.command()(command)
app.add_typer(admin, name="admin")
