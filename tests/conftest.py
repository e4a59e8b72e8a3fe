"""What all tests share: real servers, and databases on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from services.common.db.engine import Database
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging import broker
from services.common.infra.messaging.broker import Broker
from services.common.infra.messaging.messages import (
    BLUR_QUEUE,
    FETCH_QUEUE,
    FIND_QUEUE,
    MAIL_QUEUE,
    MAILING_QUEUE,
    WEBHOOK_QUEUE,
)
from tests.support.postgres import PostgresServer
from tests.support.valkey import ValkeyServer

pytest_plugins = ["tests.support.distribution", "tests.support.fixtures", "tests.support.running"]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of a database at the newest revision without rows, once on SQLite and once on PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The same, opened."""
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables, on both."""
    server: PostgresServer | None = request.getfixturevalue("postgres_server") if request.param != "sqlite" else None
    url = server.create_database() if server else f"sqlite:///{tmp_path}/empty.db"
    database = Database(url)
    yield database
    database.close()
    if server:
        server.drop_database(url)


@pytest.fixture
def valkey(valkey_server: ValkeyServer) -> Iterator[redis.Redis]:
    """A client of the one Valkey, which is empty now."""
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def queues(valkey: redis.Redis, valkey_server: ValkeyServer) -> Iterator[Broker]:
    """The broker, with all queues empty."""
    assert not valkey.dbsize()
    queues = broker.connect(
        valkey_server.url, BLUR_QUEUE, FIND_QUEUE, FETCH_QUEUE, MAIL_QUEUE, MAILING_QUEUE, WEBHOOK_QUEUE
    )
    yield queues
    queues.client.close()


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    """A blob store in a folder."""
    return BlobStore(str(tmp_path / "blobs"))
