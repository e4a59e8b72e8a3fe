"""Versions side by side over a migration: what docs/operations.md promises of an upgrade."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from imageblur.v1 import blur_service_pb2 as pb
from imageblur.v1 import order_pb2
from sqlalchemy import MetaData, Table, insert, text

from services.common import migrations
from services.common.db.engine import Database
from services.common.domain.errors import ConfigurationError
from services.common.domain.orders import original_key
from services.common.domain.spec import BlurSpec
from services.common.infra.blobs import BlobStore
from services.gateway.settings import GatewaySettings
from tests.integration.gateway.conftest import running, settings
from tests.integration.steps_of_work import MakeWorker, work_off, worker
from tests.integration.test_backup import PHOTO, place, roomy
from tests.support.waiting import eventually

__all__ = ["roomy", "settings", "worker"]

NEXT = "9999"
# What migrations may do, by the rule: add. Columns with a default or none, tables, indexes.
ADDITIONS = (
    "ALTER TABLE orders ADD COLUMN of_the_next_version VARCHAR",
    "ALTER TABLE images ADD COLUMN of_the_next_version INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE emails ADD COLUMN of_the_next_version INTEGER NOT NULL DEFAULT 0",
    "CREATE TABLE things_of_the_next_version (id INTEGER PRIMARY KEY)",
    "CREATE INDEX orders_of_the_next_version ON orders (of_the_next_version)",
    f"UPDATE alembic_version SET version_num = '{NEXT}'",
)


def test_this_version_works_on_while_the_next_one_migrates(
    roomy: GatewaySettings, blobs: BlobStore, worker: MakeWorker
) -> None:
    database = Database(roomy.database_url)
    with running(roomy) as gateway, worker(database, blobs) as blur:
        before = place(gateway, 2)
        with database.write() as session:
            for statement in ADDITIONS:
                session.execute(text(statement))
        after = place(gateway, 2)
        work_off(blur)
        for order_id in (before, after):
            order = gateway.blur.Status(pb.StatusRequest(order_id=order_id)).order
            assert order.state == order_pb2.ORDER_STATE_SUCCEEDED
        with pytest.raises(ConfigurationError, match=f"revision {NEXT}"):
            migrations.check(database)
    database.close()


@pytest.mark.parametrize("revision", ["0001", "0003"])
def test_orders_of_an_earlier_revision_go_on(
    empty_database: Database, blobs: BlobStore, worker: MakeWorker, revision: str
) -> None:
    migrations.upgrade(empty_database, revision)
    with pytest.raises(ConfigurationError, match=f"at revision {revision}"):
        migrations.check(empty_database)
    order_id = uuid4()
    blobs.put(original_key(order_id, 1), PHOTO)
    order = {"id": order_id, "email": "old@example.org", "locale": "en", "spec": BlurSpec().to_json(), "total": 1}
    _insert(empty_database, "orders", **order, state="QUEUED", principal="anonymous", revision=1, expires_at=1 << 52)
    image = {"id": uuid4(), "order_id": order_id, "position": 1, "filename": "old.png", "input_bytes": len(PHOTO)}
    _insert(empty_database, "images", **image, state="QUEUED", enqueued_at=1, revision=1)
    migrations.upgrade(empty_database)
    migrations.check(empty_database)
    with worker(empty_database, blobs) as blur:
        work_off(blur)
    with empty_database.read() as session:
        assert session.execute(text("SELECT state FROM orders")).scalar() == "SUCCEEDED"


@pytest.mark.parametrize(("revision", "table"), [("0021", "unowned_blobs"), ("0022", "images")])
def test_a_migration_waits_for_those_who_read_first_and_then_write(
    empty_database: Database, revision: str, table: str
) -> None:
    if empty_database.is_sqlite:
        pytest.skip("writers take turns from their first statement on")
    migrations.upgrade(empty_database, revision)
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = CAST(:name AS regclass)")
    with ThreadPoolExecutor(1) as pool, empty_database.read() as watcher:
        with empty_database.write() as session:
            session.execute(text(f"SELECT 1 FROM {table} LIMIT 1"))
            migration = pool.submit(migrations.upgrade, empty_database)
            eventually(lambda: watcher.scalar(waiting, {"name": table}))
            session.execute(text(f"DELETE FROM {table}"))
        migration.result()
    migrations.check(empty_database)


def _insert(database: Database, name: str, **values: Any) -> None:
    """A row as that revision had it; counts and times that are not given are 0."""
    table = Table(name, MetaData(), autoload_with=database.engine)
    if database.is_sqlite:  # which has no type for them
        values = {column: value.hex if isinstance(value, UUID) else value for column, value in values.items()}
    rest = {column.name: 0 for column in table.columns if not column.nullable and column.name not in values}
    if "tidied" in rest:
        rest["tidied"] = False
    with database.write() as session:
        session.execute(insert(table).values(**values, **rest))
