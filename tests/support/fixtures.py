"""Real servers as fixtures. Take them over with `pytest_plugins = ["tests.support.fixtures"]` in a root conftest."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.blur_worker.child.pool import ChildPool
from services.blur_worker.instant.child_work import InstantResult, run_instant
from tests.support.blur_workers import LIMITS
from tests.support.certificates import Authority
from tests.support.databases import SharedPostgres, SqliteTemplate
from tests.support.https import make_authority
from tests.support.postgres import PostgresServer, PostgresUnavailable, start_postgres
from tests.support.s3 import S3Server, S3Unavailable, start_s3
from tests.support.smtp import SmtpSink
from tests.support.valkey import ValkeyServer, start_valkey


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """One Valkey for all tests; who stops or flushes it leaves it running and empty."""
    server = start_valkey(tmp_path_factory.mktemp("valkey"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One PostgreSQL for all tests; each takes a database of its own."""
    try:
        server = start_postgres(tmp_path_factory.mktemp("postgres"))
    except PostgresUnavailable as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"PostgreSQL does not start here: {error}")
    yield server
    server.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> SqliteTemplate:
    return SqliteTemplate(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def shared_postgres(postgres_server: PostgresServer) -> SharedPostgres:
    return SharedPostgres(postgres_server)


@pytest.fixture
def sqlite_url(sqlite_template: SqliteTemplate, tmp_path: Path) -> str:
    """The address of a database on SQLite, at the newest revision and without rows."""
    return sqlite_template.copy(tmp_path)


@pytest.fixture
def postgresql_url(shared_postgres: SharedPostgres) -> str:
    """The address of a database on PostgreSQL, at the newest revision and without rows."""
    return shared_postgres.empty()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One S3 server for all tests; each takes a prefix of its own."""
    try:
        server = start_s3(tmp_path_factory.mktemp("s3"))
    except S3Unavailable as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"the S3 server does not start here: {error}")
    yield server
    server.kill()


@pytest.fixture
def smtp_sink() -> Iterator[SmtpSink]:
    """A fresh SMTP server."""
    with SmtpSink() as sink:
        yield sink


@pytest.fixture(scope="session")
def children() -> Iterator[ChildPool]:
    """The child process of a blur worker, for all tests: to load the engine takes it seconds."""
    children = ChildPool(1, LIMITS)
    children.start()
    yield children
    children.close()


@pytest.fixture(scope="session")
def instant_children() -> Iterator[ChildPool]:
    """The child process that answers instant calls, for all tests; it starts with the first one."""
    children = ChildPool(1, LIMITS, run_instant, answer=InstantResult)
    yield children
    children.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """What issues the certificates of HTTPS servers of a test; the service trusts it."""
    return make_authority(tmp_path)
