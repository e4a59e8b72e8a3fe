"""The database's clock, which all services share, and which can be moved: as if that of its machine had been set."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.compiler import compiles

from services.common.db import clock
from services.common.db.engine import Database

_AHEAD = "(SELECT ahead_us FROM faults_clock)"


def follow() -> None:
    """A service's side: ask the clock that can be moved."""
    of_server = {"postgresql": clock._postgresql, "sqlite": clock._sqlite}

    def moved(kind: str) -> Any:
        return lambda element, compiler, **_: f"({of_server[kind](element, compiler)} + {_AHEAD})"

    for kind in of_server:
        compiles(clock.now, kind)(moved(kind))


def prepare(database: Database) -> None:
    """Make what `follow` needs, in a new database."""
    with database.write() as session:
        session.execute(text("CREATE TABLE faults_clock (ahead_us BIGINT)"))
        session.execute(text("INSERT INTO faults_clock VALUES (0)"))


def move(database: Database, seconds: float) -> None:
    """Set the clock so many seconds ahead of what it is."""
    with database.write() as session:
        session.execute(text("UPDATE faults_clock SET ahead_us = :us"), {"us": round(seconds * clock.SECOND)})
