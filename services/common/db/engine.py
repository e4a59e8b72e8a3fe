"""Opens the database and hands out its transactions."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url, text
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from services.common.errors import ConfigurationError, Unavailable


class Database:
    """A pool of connections to SQLite or PostgreSQL.

    SQLite runs in WAL mode with `synchronous=FULL`: what was committed survives a power cut. Writers take their lock at
    the beginning (BEGIN IMMEDIATE) and wait for it; a read that turned into a write would fail at once instead.
    """

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        try:
            if self.is_sqlite and parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self.engine = create_engine(
                parsed,
                pool_size=pool_size,
                max_overflow=4,
                pool_pre_ping=not self.is_sqlite,
                connect_args={} if self.is_sqlite else {"connect_timeout": 5},
            )
        except (OSError, SQLAlchemyError) as error:
            raise ConfigurationError(f"IMAGEBLUR_DATABASE_URL: {error}") from None
        if self.is_sqlite:
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self.folder = Path(parsed.database).parent.resolve() if self.is_sqlite and parsed.database else None
        """Where the database is, if it is on this machine's disk."""
        self._writer: Engine = self.engine.execution_options(imageblur_write=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads.

        Raises:
            Unavailable: The database cannot be reached or is locked for too long.
        """
        with translate_errors(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that is committed at the end, or rolled back by an error.

        Raises:
            Unavailable: The database cannot be reached or is locked for too long.
        """
        with translate_errors(), Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def ping(self) -> None:
        """Reach the database or raise Unavailable."""
        with self.read() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn "cannot be reached" and "locked" into Unavailable; other errors of the database are faults of ours."""
    try:
        yield
    except (OperationalError, InterfaceError, InternalError, PoolTimeout) as error:
        raise Unavailable("the database cannot be reached") from error


def _configure_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN would come too late; see _begin_sqlite
    for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    write = connection.get_execution_options().get("imageblur_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
