"""Prints errors on stderr and maps them to exit codes."""

import enum
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer
import typer.core

from imageblur_client.cli.text import plain, seconds

if TYPE_CHECKING:
    from imageblur_client.errors import ImageBlurClientError


class ExitCode(enum.IntEnum):
    """The exit codes, documented in this package's docstring and in --help."""

    OK = 0
    NOT_ALL_SUCCEEDED = 1
    USAGE = 2
    REFUSED = 3
    NOT_FOUND = 4
    TRY_AGAIN = 5
    OTHER = 6
    INTERRUPTED = 130


_TRY_AGAIN = re.compile(r"[;:,]? (?:or )?try again(?: later| soon)?$")


def exit_code(error: "ImageBlurClientError") -> ExitCode:
    """Return the exit code for an error."""
    from imageblur_client import errors  # noqa: PLC0415 - gRPC, which is loaded if there is such an error

    by_error = (
        (errors.InvalidArgumentError, ExitCode.REFUSED),
        (errors.FailedPreconditionError, ExitCode.REFUSED),
        (errors.AccessDeniedError, ExitCode.REFUSED),
        (errors.NotFoundError, ExitCode.NOT_FOUND),
        (errors.RetryableError, ExitCode.TRY_AGAIN),
    )
    return next((code for kind, code in by_error if isinstance(error, kind)), ExitCode.OTHER)


def error_lines(error: "ImageBlurClientError") -> Iterator[str]:
    """Yield the error as one line, or as one for each invalid field."""
    from imageblur_client.errors import InvalidArgumentError  # noqa: PLC0415 - as in `exit_code`

    if isinstance(error, InvalidArgumentError) and error.violations:
        for violation in error.violations:
            yield f"{violation.field}: {violation.description} ({error.code.name})"
        return
    line = error.message
    if error.retry_after:
        line = _TRY_AGAIN.sub("", line)  # it is added below, with the time
    for violation in error.violations:
        if violation.description not in line:
            line += f"; {violation.description}"
    line = f"{line} ({error.code.name})"
    if error.retry_after:
        line += f"; try again in {seconds(error.retry_after)}"
    yield line


def file_error_line(error: OSError) -> str:
    """Return a file error as `cat.png: No such file or directory`."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename is not None else reason


def print_error(line: str) -> None:
    """Print one line on stderr."""
    print(f"imageblur: {plain(line)}", file=sys.stderr)


def _client_errors() -> "tuple[type[ImageBlurClientError], ...]":
    """Return the errors of the client: none if it was not even loaded."""
    errors = sys.modules.get("imageblur_client.errors")
    return (errors.ImageBlurClientError,) if errors else ()


class CommandGroup(typer.core.TyperGroup):
    """Prints the errors of commands and exits with their codes."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        """Run the command."""
        try:
            return super().invoke(ctx)
        except _client_errors() as error:
            for line in error_lines(error):
                print_error(line)
            raise typer.Exit(exit_code(error)) from error
        except BrokenPipeError:
            raise  # typer handles a closed stdout
        except OSError as error:
            print_error(file_error_line(error))
            raise typer.Exit(ExitCode.OTHER) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(ExitCode.INTERRUPTED) from error
