"""The command line application: all commands and their common options."""

import os
from pathlib import Path
from typing import Annotated

import typer

from imageblur_client.cli.context import CliContext
from imageblur_client.cli.lazy_group import LazyGroup
from imageblur_client.security import DEFAULT_SERVER, Security

# \b keeps click from joining the lines.
_EXIT_CODES = """\b
Exit codes:
  0    success
  1    the order finished, but an image or its delivery failed, or a result
       still shows what was to be hidden; or the mail server did not accept a
       test e-mail
  2    the command line is wrong, or a file to send does not exist
  3    the server refused the request: an argument is wrong, the order is not
       in the required state, or the API key does not allow it
  4    not found
  5    the server cannot be reached or is busy: try again later
  6    any other error
  130  interrupted by Ctrl-C
"""

app = typer.Typer(
    cls=LazyGroup,
    help="Blur images in bulk with an ImageBlur server: place orders, watch them, download the results.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    # Box characters are unsuitable for pipes and logs.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata  # noqa: PLC0415 - slow to load

        typer.echo(f"imageblur {importlib.metadata.version('imageblur')}")
        raise typer.Exit


def _key(file: Path | None) -> str | None:
    # Not an option: all users of a machine can see its command lines.
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
        str, typer.Option(envvar="IMAGEBLUR_SERVER", metavar="HOST:PORT", help="Address of the server.")
    ] = DEFAULT_SERVER,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            metavar="SECONDS",
            help="Timeout. Default: 30 s; none for uploads, downloads and watching.",
            show_default=False,
        ),
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            envvar="IMAGEBLUR_API_KEY_FILE",
            metavar="FILE",
            help="File with the API key. Default: the key in IMAGEBLUR_API_KEY.",
        ),
    ] = None,
    tls: Annotated[
        bool | None,
        typer.Option(
            "--tls/--no-tls", envvar="IMAGEBLUR_TLS", help="Use TLS. Default: if a certificate file is given."
        ),
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option(
            envvar="IMAGEBLUR_CA_FILE", metavar="PEM", help="CA certificates of the server. Default: this machine's."
        ),
    ] = None,
    cert_file: Annotated[
        Path | None,
        typer.Option(envvar="IMAGEBLUR_CERT_FILE", metavar="PEM", help="Certificate of this client, for mutual TLS."),
    ] = None,
    cert_key_file: Annotated[
        Path | None, typer.Option(envvar="IMAGEBLUR_CERT_KEY_FILE", metavar="PEM", help="Key of that certificate.")
    ] = None,
    plaintext_key: Annotated[
        bool,
        typer.Option(
            "--plaintext-key", envvar="IMAGEBLUR_PLAINTEXT_KEY", help="Allow sending the API key unencrypted."
        ),
    ] = False,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Keep the common options for the command."""
    if (cert_file is None) != (cert_key_file is None):
        raise typer.BadParameter("give both --cert-file and --cert-key-file, or neither")
    security = Security(
        key=_key(key_file),
        tls=tls,
        ca_file=ca_file,
        certificate_file=cert_file,
        certificate_key_file=cert_key_file,
        plaintext_key=plaintext_key,
    )
    ctx.obj = CliContext(server, timeout, security)
