"""What the operator's commands have in common: the way to the server, tables, and JSON."""

from collections.abc import Iterable, Sequence
from typing import Annotated

import typer
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from imageblur_client.cli.render import as_dict, json_line
from imageblur_client.cli.session import Session
from imageblur_client.cli.text import moment, plain, seconds
from imageblur_client.operator import Operator

Limit = Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="Most to show.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def operator_of(ctx: typer.Context) -> Operator:
    """The way to the server for a command."""
    session = ctx.find_object(Session)
    assert session is not None
    return Operator(session.server, timeout=session.timeout, security=session.security)


def show(messages: Iterable[Message], table: Iterable[Sequence[str]], *, as_json: bool) -> None:
    """The messages as JSON, one a line, or the table, whose first row is its head."""
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


def when(message: Message, field: str) -> str:
    """A time of a message, or a dash where it is unset."""
    time = getattr(message, field)
    assert isinstance(time, Timestamp)
    return moment(time) if message.HasField(field) else "-"


def took(message: Message, field: str) -> str:
    """A length of time of a message, or a dash where it is unset."""
    length = getattr(message, field)
    assert isinstance(length, Duration)
    return seconds(length.ToTimedelta().total_seconds()) if message.HasField(field) else "-"


def sure(question: str, *, yes: bool) -> None:
    """Ask before what cannot be undone."""
    if not yes:
        typer.confirm(question, abort=True)
