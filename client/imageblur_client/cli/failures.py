"""Errors as lines on stderr and as exit codes."""

import enum
import sys
from collections.abc import Iterator

import typer
import typer.core

from imageblur_client.cli.text import plain, seconds
from imageblur_client.errors import (
    AccessDenied,
    FailedPrecondition,
    ImageBlurClientError,
    InvalidArgument,
    NotFound,
    TryAgain,
)


class ExitCode(enum.IntEnum):
    """What the process says to its parent; documented in this package's docstring and in --help."""

    OK = 0
    NOT_ALL_SUCCEEDED = 1
    USAGE = 2
    REFUSED = 3
    NOT_FOUND = 4
    TRY_AGAIN = 5
    OTHER = 6
    INTERRUPTED = 130


_BY_ERROR: tuple[tuple[type[ImageBlurClientError], ExitCode], ...] = (
    (InvalidArgument, ExitCode.REFUSED),
    (FailedPrecondition, ExitCode.REFUSED),
    (AccessDenied, ExitCode.REFUSED),
    (NotFound, ExitCode.NOT_FOUND),
    (TryAgain, ExitCode.TRY_AGAIN),
)


def exit_code(error: ImageBlurClientError) -> ExitCode:
    """The exit code for an error."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), ExitCode.OTHER)


def error_lines(error: ImageBlurClientError) -> Iterator[str]:
    """The error in one line, or in one for each field that is wrong."""
    if isinstance(error, InvalidArgument) and error.violations:
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
    """An OSError about a file, as `cat.png: No such file or directory`."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename is not None else reason


def complain(line: str) -> None:
    """Says one line on stderr."""
    print(f"imageblur: {plain(line)}", file=sys.stderr)


class CommandGroup(typer.core.TyperGroup):
    """Turns what commands raise on purpose into lines and exit codes."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except ImageBlurClientError as error:
            for line in error_lines(error):
                complain(line)
            raise typer.Exit(exit_code(error)) from error
        except BrokenPipeError:
            raise  # The reader of stdout went away: typer knows what to do.
        except OSError as error:
            complain(file_error_line(error))
            raise typer.Exit(ExitCode.OTHER) from error
        except KeyboardInterrupt as error:
            raise typer.Exit(ExitCode.INTERRUPTED) from error
