"""The database's clock, which all services share, in whole microseconds since 1970 (UTC)."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class now(FunctionElement[int]):  # noqa: N801 - an SQL function, named like one
    """The time of the database server."""

    type = BigInteger()
    inherit_cache = True
    name = "now_us"


@compiles(now, "postgresql")
def _postgresql(_element: now, _compiler: Any, **_: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS bigint)"


@compiles(now, "sqlite")
def _sqlite(_element: now, _compiler: Any, **_: Any) -> str:
    # unixepoch('subsec') is newer than the SQLite of supported systems; a Julian day as float resolves 40 µs.
    return "CAST((julianday('now') - 2440587.5) * 86400000000 AS integer)"


def to_datetime(microseconds: int) -> datetime:
    """Return an aware datetime in UTC."""
    return datetime.fromtimestamp(microseconds // SECOND, tz=UTC).replace(microsecond=microseconds % SECOND)


def from_datetime(time: datetime) -> int:
    """Return microseconds since 1970; `time` must be aware."""
    delta = time - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds
