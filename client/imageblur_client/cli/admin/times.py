"""Options for spans of time: `--since` and `--until`, as a day, a time, or so long ago."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp

_AGO = re.compile(r"(\d{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_TIMES = "2026-11-30, 2026-11-30T09:00, 2h (so long ago), today or yesterday"

Since = Annotated[str, typer.Option(metavar="TIME", help=f"At this time or later: {_TIMES}.")]
Until = Annotated[str, typer.Option(metavar="TIME", help="Before this time. With --since yesterday: its end.")]


def span(since: str, until: str) -> tuple[Timestamp | None, Timestamp | None]:
    """Return begin and end of a span, in this machine's time zone; a day as `since` alone ends with the day.

    Raises:
        typer.BadParameter: One of them is not a time.
    """
    begin, whole_day = _parse(since, "--since")
    end, _ = _parse(until, "--until")
    if begin and whole_day and since.casefold() == "yesterday" and not until:
        end = begin + timedelta(days=1)
    return _timestamp(begin), _timestamp(end)


def _parse(text: str, option: str) -> tuple[datetime | None, bool]:
    """Return a time, and whether it is a whole day."""
    if not text:
        return None, False
    now = datetime.now(UTC).astimezone()
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if text.casefold() in {"today", "yesterday"}:
        return today - timedelta(days=text.casefold() == "yesterday"), True
    if ago := _AGO.fullmatch(text):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}), False
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time: write {_TIMES}", param_hint=option) from None
    return parsed.astimezone(), len(text) == len("2026-11-30")


def _timestamp(moment: datetime | None) -> Timestamp | None:
    return None if moment is None else Timestamp(seconds=int(moment.timestamp()))
