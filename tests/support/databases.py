"""Databases at the newest revision, made once: migrations would take half a second for each test."""

import shutil
from pathlib import Path

from sqlalchemy import create_engine, delete, text, update
from sqlalchemy.pool import NullPool

from services.common import migrations
from services.common.db import clock
from services.common.db.engine import Database
from services.common.db.models import Base, Installation
from services.common.db.revision import HEAD
from tests.support.postgres import PostgresServer


class SqliteTemplate:
    """A file that is copied."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "template.db"
        _migrate(f"sqlite:///{self._path}")

    def copy(self, folder: Path) -> str:
        """The address of a copy in a folder."""
        shutil.copy(self._path, folder / "imageblur.db")
        return f"sqlite:///{folder}/imageblur.db"


class SharedPostgres:
    """A database that is emptied for each test: to copy one takes PostgreSQL longer than most tests."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._make()

    def empty(self) -> str:
        """Cut what is left of its connections, delete all rows; its address."""
        with self._engine.begin() as connection:
            others = "pid <> pg_backend_pid() AND datname = current_database()"
            connection.execute(text(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE {others}"))
            revision = connection.scalar(text("SELECT version_num FROM alembic_version"))
            if revision == HEAD:
                for table in reversed(Base.metadata.sorted_tables):
                    if table.name != Installation.__tablename__:
                        connection.execute(delete(table))
                connection.execute(update(Installation).values(installed_at=clock.now()))
                return self._url
        # A test has changed the tables.
        self._server.drop_database(self._url)
        self._make()
        return self._url

    def _make(self) -> None:
        self._url = self._server.create_database()
        _migrate(self._url)
        self._engine = create_engine(self._url, poolclass=NullPool)


def _migrate(url: str) -> None:
    database = Database(url)
    migrations.upgrade(database)
    database.close()
