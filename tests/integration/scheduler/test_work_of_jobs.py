"""What jobs cost when much has happened and nothing is due."""

from pathlib import Path
from zoneinfo import ZoneInfo

from services.common import migrations
from services.common.db.engine import Database
from services.common.infra.blobs import BlobStore
from services.common.infra.messaging.broker import Broker
from services.scheduler.jobs import schedule
from services.scheduler.start_mailings import StartMailings
from services.scheduler.sweep import Sweep
from services.scheduler.weekly_hour import WeeklyHour
from tests.support.seed import Seed, seed_orders
from tests.support.sqlite_work import SQLiteWork


def test_jobs_do_no_more_beside_many_orders_that_have_ended(tmp_path: Path, blobs: BlobStore, queues: Broker) -> None:
    few, many = (_instructions_by_job(tmp_path / f"{orders}.db", orders, blobs, queues) for orders in (200, 4000))
    costly = {job: (few[job], count) for job, count in many.items() if count > 1.5 * few[job] + 20}
    assert not costly, "hundreds of instructions of SQLite"


def _instructions_by_job(file: Path, orders: int, blobs: BlobStore, queues: Broker) -> dict[str, int]:
    database = Database(f"sqlite:///{file}")
    migrations.upgrade(database)
    seed_orders(database, Seed(orders=orders, days=1))
    mailings = StartMailings(database, queues, WeeklyHour("sun", 9, ZoneInfo("UTC")))
    jobs = schedule(Sweep(database, blobs, queues, window=8), mailings, sweep_seconds=1).get_jobs()
    for job in jobs:
        job.func()  # summarises, and starts what is due
    work, hundreds = SQLiteWork(database), {}
    for job in jobs:
        before = work.hundreds
        job.func()
        hundreds[job.id] = work.hundreds - before
    database.close()
    return hundreds
