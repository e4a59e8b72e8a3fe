"""Opens the database and its transactions."""

import errno
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, event, make_url, text
from sqlalchemy.exc import DatabaseError, InterfaceError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from services.common.domain.errors import ConfigurationError, Unavailable
from services.common.infra import log

T = TypeVar("T")

_log = log.get(__name__)
_BUSY_SECONDS = 10
"""How long a writer waits for others of SQLite."""
_POSTGRESQL: Any = {
    "connect_timeout": 5,
    # Otherwise that of the database; from SQL_ASCII text would be read as bytes.
    "client_encoding": "utf8",
    # A server that has vanished is noticed within 15 seconds, not after hours as by default.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# Statements change rows, not objects that a session has loaded: nothing reads these after such a statement.
_SESSION: Any = {"expire_on_commit": False, "execution_options": {"synchronize_session": False}}
_SNAPSHOT: Any = {"isolation_level": "REPEATABLE READ"}
_FULL: Any = {"imageblur_write": "FULL"}
_NORMAL: Any = {"imageblur_write": "NORMAL"}
_NOT_SYNCHRONOUS = text("SET LOCAL synchronous_commit = off")


class Database:
    """A pool of connections to SQLite or PostgreSQL.

    SQLite runs in WAL mode. Writers take their lock at the beginning (BEGIN IMMEDIATE) and wait for it; a read that
    turned into a write would fail at once instead.

    Commits survive a power cut unless they are not `durable`: claims and heartbeats, which are repeated when lost. A
    durable commit makes all earlier ones durable.
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
                pool_use_lifo=True,  # SQLite reads its pages again in a connection that did not write them
                max_overflow=4,
                pool_pre_ping=not self.is_sqlite,
                hide_parameters=True,  # errors are logged, and values may be addresses
                connect_args={} if self.is_sqlite else _POSTGRESQL,
            )
        except (OSError, SQLAlchemyError) as error:
            raise ConfigurationError(f"IMAGEBLUR_DATABASE_URL: {error}") from None
        if self.is_sqlite:
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        # Threads of this process wait for one another here: those that wait for SQLite's own lock sleep by turns.
        self._writer = threading.Lock() if self.is_sqlite else None
        self.folder = Path(parsed.database).parent.resolve() if self.is_sqlite and parsed.database else None
        """The database's folder, if it is SQLite."""
        # By default, each statement in PostgreSQL sees what was committed since the one before.
        self._reader = self.engine if self.is_sqlite else self.engine.execution_options(**_SNAPSHOT)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Begin a transaction that only reads, all of it as of one moment.

        Raises:
            Unavailable: The database cannot be reached or is locked for too long.
        """
        with translate_errors(), Session(self._reader, **_SESSION) as session:
            yield session

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Session]:
        """Begin a transaction that is committed at the end, or rolled back by an error.

        Args:
            durable: Whether the commit waits for the disk; without, a power cut within the next second may undo it.

        Raises:
            Unavailable: The database cannot be reached or is locked for too long.
        """
        with self._one_writer(), translate_errors(), Session(self.engine, **_SESSION) as session, session.begin():
            # Set on the connection: an engine with options would look up listeners at every step.
            session.connection(execution_options=_FULL if durable else _NORMAL)
            if not durable and not self.is_sqlite:
                session.execute(_NOT_SYNCHRONOUS)
            yield session

    @contextmanager
    def _one_writer(self) -> Iterator[None]:
        if self._writer is None:
            yield
            return
        if not self._writer.acquire(timeout=_BUSY_SECONDS):
            raise Unavailable("the database is locked")
        try:
            yield
        finally:
            self._writer.release()

    def ping(self) -> None:
        """Reach the database or raise Unavailable."""
        with self.read() as session:
            session.execute(text("SELECT 1"))

    def check_encoding(self) -> None:
        """Check that the database can store names and texts of every language.

        Raises:
            ConfigurationError: It cannot.
            Unavailable: The database cannot be reached.
        """
        if self.is_sqlite:
            return
        with self.read() as session:
            encoding = session.scalar(text("SHOW server_encoding"))
        if encoding != "UTF8":
            raise ConfigurationError(
                f"IMAGEBLUR_DATABASE_URL: the database has the encoding {encoding}, which cannot store every name: "
                "create one with ENCODING 'UTF8' TEMPLATE template0"
            )

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def retry_unavailable(write: Callable[[], T], seconds: float = 8.0) -> T:
    """Record an outcome, again and again while the database is unavailable: work whose outcome is lost is repeated.

    Raises:
        Unavailable: The database was unavailable for so many seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return write()
        except Unavailable as error:
            if time.monotonic() > deadline:
                raise
            _log.warning("outcome not recorded yet", error=str(error))
            time.sleep(0.5)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise Unavailable for a database that cannot be reached or is locked; other errors are bugs."""
    try:
        yield
    except (OperationalError, InterfaceError, InternalError, PoolTimeout, sqlite3.OperationalError) as error:
        raise Unavailable("the database cannot be reached") from error
    except DatabaseError as error:
        if type(error.orig) is not sqlite3.DatabaseError:  # its subclasses are bugs
            raise
        _log.error("the database is damaged, or its disk fails", error=str(error.orig))
        raise Unavailable("the database cannot be read") from error
    except OSError as error:
        if error.errno not in {errno.EMFILE, errno.ENFILE}:
            raise
        raise Unavailable("the database cannot be reached: no descriptor is left") from error


def _configure_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # the driver would begin too late; `_begin_sqlite` does
    for pragma in (f"busy_timeout={_BUSY_SECONDS * 1000}", "journal_mode=WAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    synchronous = connection.get_execution_options().get("imageblur_write")
    # Not through SQLAlchemy, whose overhead for two statements more in each transaction can be measured.
    execute = connection.connection.driver_connection.execute  # type: ignore[union-attr]
    if synchronous:
        execute(f"PRAGMA synchronous={synchronous}")
    execute("BEGIN IMMEDIATE" if synchronous else "BEGIN")
