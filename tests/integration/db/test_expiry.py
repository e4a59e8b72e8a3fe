"""Expiry of many orders at once."""

from pathlib import Path

from sqlalchemy import select, update

from services.common import migrations
from services.common.db.engine import Database
from services.common.db.models import Order
from services.common.db.orders import expiry
from services.common.domain.orders import OrderState
from tests.support.seed import Seed, seed_orders
from tests.support.sqlite_work import SQLiteWork


def test_the_work_of_a_batch_does_not_depend_on_how_many_orders_are_due(tmp_path: Path) -> None:
    instructions = {due: _instructions_to_expire(tmp_path / f"{due}.db", due=due) for due in (200, 4000)}
    assert instructions[4000] < 1.5 * instructions[200], instructions


def _instructions_to_expire(file: Path, *, due: int) -> int:
    """Return how many hundreds of instructions of SQLite it takes to expire 100 of the orders that are due."""
    database = Database(f"sqlite:///{file}")
    migrations.upgrade(database)
    seed_orders(database, Seed(orders=due, days=1))
    with database.write() as session:
        session.execute(update(Order).values(expires_at=1))
    work = SQLiteWork(database)
    with database.write() as session:
        few = session.scalars(select(Order.id).where(Order.state != OrderState.EXPIRED).limit(100)).all()
        before = work.hundreds
        assert expiry.expire(session, *few).ended_order_ids == sorted(few)
        hundreds = work.hundreds - before
    database.close()
    return hundreds
