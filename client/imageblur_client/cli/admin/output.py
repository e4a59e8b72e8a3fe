"""What operators' commands share: the API, tables, JSON, confirmation."""

from collections.abc import Iterable, Sequence
from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from imageblur_client.cli.context import CliContext
from imageblur_client.cli.render import as_dict, json_line
from imageblur_client.cli.text import local_time, plain, seconds
from imageblur_client.operator import OperatorApi

Limit = Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="Maximum number of rows.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def operator_api(ctx: typer.Context) -> OperatorApi:
    """Return the operator API for a command."""
    context = ctx.find_object(CliContext)
    assert context is not None
    return OperatorApi(context.server, timeout=context.timeout, security=context.security)


def show(messages: Iterable[Message], table: Iterable[Sequence[str]], *, as_json: bool) -> None:
    """Print messages as JSON, one a line, or a table, whose first row is its header."""
    if as_json:
        for message in messages:
            typer.echo(json_line(**as_dict(message)))
        return
    rows = [[plain(cell) for cell in row] for row in table]
    if len(rows) < 2:
        typer.echo("none")
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def time_text(message: Message, field: str) -> str:
    """Return a time of a message, or a dash if it is unset."""
    time = getattr(message, field)
    assert isinstance(time, Timestamp)
    return local_time(time) if message.HasField(field) else "-"


def duration_text(message: Message, field: str) -> str:
    """Return a duration of a message, or a dash if it is unset."""
    length = getattr(message, field)
    assert isinstance(length, Duration)
    return seconds(length.ToTimedelta().total_seconds()) if message.HasField(field) else "-"


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation; abort unless it is given."""
    if not yes:
        typer.confirm(question, abort=True)
