"""What operators' commands share: the API, tables, JSON, confirmation."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC
from typing import Annotated, Any, TypeVar

import typer
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from imageblur_client.cli.context import CliContext
from imageblur_client.cli.render import as_dict, json_line
from imageblur_client.cli.text import plain, seconds
from imageblur_client.operator import OperatorApi

Limit = Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="Maximum number of rows.")]
All = Annotated[bool, typer.Option("--all", help="All rows, whatever the limit.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV, with a header.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count; change nothing.")]
MAX_PAGE = 1000
M = TypeVar("M", bound=Message)
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def operator_api(ctx: typer.Context) -> OperatorApi:
    """Return the operator API for a command."""
    context = ctx.find_object(CliContext)
    assert context is not None
    return OperatorApi(context.server, timeout=context.timeout, security=context.security)


def pages(operator: OperatorApi, method: Any, request: Any, field: str, *, limit: int | None) -> Iterator[Any]:
    """Yield the rows of a list, page by page, at most so many.

    Raises:
        ImageBlurClientError: A call failed.
    """
    left = limit
    while True:
        request.page_size = MAX_PAGE if left is None else min(MAX_PAGE, left)
        response = operator.call(method, request)
        rows = getattr(response, field)
        yield from rows
        request.page_token = response.next_page_token
        left = None if left is None else left - len(rows)
        if not request.page_token or left == 0:
            return


def show(
    messages: Iterable[M],
    table: Iterable[Sequence[str]] | Callable[[Sequence[M]], Iterable[Sequence[str]]],
    *,
    as_json: bool,
    as_csv: bool = False,
) -> None:
    """Print messages as JSON, one a line, as CSV, or as a table, whose first row is its header."""
    if as_json:
        for message in messages:
            typer.echo(json_line(**as_dict(message)))
        return
    if as_csv and callable(table):
        for index, message in enumerate(messages):
            header, row = table([message])
            for cells in ([header] if index == 0 else []) + [row]:
                typer.echo(_csv_line(cells))
        return
    rows = [[plain(cell) for cell in row] for row in (table(list(messages)) if callable(table) else table)]
    if len(rows) < 2:
        typer.echo("none")
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    # A spreadsheet would take a cell that begins like this for a formula.
    safe = (f"'{cell}" if cell.startswith(("=", "+", "@")) else plain(cell) for cell in cells)
    csv.writer(line, lineterminator="").writerow(safe)
    return line.getvalue()


def time_text(message: Message, field: str) -> str:
    """Return a time of a message to the second, in this machine's time zone; a dash if it is unset."""
    time = getattr(message, field)
    assert isinstance(time, Timestamp)
    if not message.HasField(field):
        return "-"
    return time.ToDatetime(tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def duration_text(message: Message, field: str) -> str:
    """Return a duration of a message, or a dash if it is unset."""
    length = getattr(message, field)
    assert isinstance(length, Duration)
    return seconds(length.ToTimedelta().total_seconds()) if message.HasField(field) else "-"


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation; abort unless it is given."""
    if not yes:
        typer.confirm(question, abort=True)
