"""What all tests share: real servers, and databases on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from services.common import migrations
from services.common.db.engine import Database
from services.common.infra import broker
from services.common.infra.blobs import BlobStore
from services.common.infra.broker import Broker
from services.common.infra.messages import BLUR_QUEUE, MAIL_QUEUE, MAILING_QUEUE
from tests.support.valkey import ValkeyServer

pytest_plugins = ["tests.support.fixtures"]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/imageblur.db"
        return
    server = request.getfixturevalue("postgres_server")
    url = server.create_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database at the newest revision."""
    database = Database(database_url)
    migrations.upgrade(database)
    yield database
    database.close()


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
    queues = broker.connect(valkey_server.url, BLUR_QUEUE, MAIL_QUEUE, MAILING_QUEUE)
    yield queues
    queues.client.close()


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    """A blob store in a folder."""
    return BlobStore(str(tmp_path / "blobs"))
