"""Prints errors on stderr and maps them to exit codes."""

import enum
import sys
from collections.abc import Iterator

import typer
import typer.core

from imageblur_client.cli.text import plain, seconds
from imageblur_client.errors import (
    AccessDeniedError,
    FailedPreconditionError,
    ImageBlurClientError,
    InvalidArgumentError,
    NotFoundError,
    RetryableError,
)


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


_BY_ERROR: tuple[tuple[type[ImageBlurClientError], ExitCode], ...] = (
    (InvalidArgumentError, ExitCode.REFUSED),
    (FailedPreconditionError, ExitCode.REFUSED),
    (AccessDeniedError, ExitCode.REFUSED),
    (NotFoundError, ExitCode.NOT_FOUND),
    (RetryableError, ExitCode.TRY_AGAIN),
)


def exit_code(error: ImageBlurClientError) -> ExitCode:
    """Return the exit code for an error."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), ExitCode.OTHER)


def error_lines(error: ImageBlurClientError) -> Iterator[str]:
    """Yield the error as one line, or as one for each invalid field."""
    if isinstance(error, InvalidArgumentError) and error.violations:
        for violation in error.violations:
            yield f"{violation.field}: {violation.description} ({error.code.name})"
        return
    line = error.message
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


class CommandGroup(typer.core.TyperGroup):
    """Prints the errors of commands and exits with their codes."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ImageBlurClientError as error:
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
