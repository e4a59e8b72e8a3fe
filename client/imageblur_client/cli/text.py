"""Formats numbers, sizes and times, and makes text safe for a terminal."""

import re
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

_UNITS = ("kB", "MB", "GB", "TB")


def plain(text: str) -> str:
    """Return the text with characters that are not printable, such as escape sequences, replaced."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def count(number: int, thing: str) -> str:
    """Return a count as `1 image`, `2 images`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def size(octets: int) -> str:
    """Return a size as `999 B`, `4.2 MB` (decimal units)."""
    if octets < 1000:
        return f"{octets} B"
    amount, units = octets / 1000, iter(_UNITS)
    unit = next(units)
    while amount >= 999.95 and (larger := next(units, None)):
        amount, unit = amount / 1000, larger
    return f"{amount:.1f} {unit}"


def seconds(amount: float) -> str:
    """Return a duration as `0.5 s`, `12 s`, `3 min`, `2 h 5 min`, `7 days`."""
    if amount < 10:
        return f"{round(amount, 1):g} s"
    if amount < 90:
        return f"{amount:.0f} s"
    minutes = round(amount / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours >= 48:
        return f"{round(hours / 24)} days"
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def local_time(time: "Timestamp") -> str:
    """Return a time as `2026-11-23 14:05 CET`, in the time zone of this machine."""
    return time.ToDatetime(tzinfo=UTC).astimezone().strftime("%Y-%m-%d %H:%M %Z")


def duration(text: str, option: str) -> timedelta:
    """Return a time such as `90s`, `30m` or `24h`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip().lower())
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a time such as 90s, 30m or 24h", param_hint=option)
    unit = {"s": "seconds", "m": "minutes", "h": "hours"}[match[2]]
    return timedelta(**{unit: float(match[1])})
