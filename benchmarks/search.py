"""`python -m benchmarks.search`: what operators' searches cost among a million orders.

For each search of `OperatorService.ListOrders`, and for the counts of dry runs: the processor time of its statements
with SQLite; with PostgreSQL the pages of 8 kB that it reads, whatever else the machine does, and the shortest time.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection, event, select, text
from sqlalchemy.orm import Session

from services.common import migrations
from services.common.db.clock import SECOND, now
from services.common.db.engine import Database
from services.common.db.models import Order
from services.common.db.orders import order_search, order_selection
from services.common.db.orders.order_search import OrderFilter
from services.common.db.orders.order_selection import OrderAction
from services.common.db.queues import failures
from services.common.db.queues.failures import FailureFilter
from services.common.domain.failures import Cause
from services.common.domain.orders import OrderState
from services.common.domain.spec import BlurSpec
from tests.support.postgres import PostgresServer

ROUNDS = 5
DAYS = 14
ADDRESSES = 50_000
Search = Callable[[Session], object]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="imageblur-") as folder, _database(arguments.database, Path(folder)) as database:
        migrations.upgrade(database)
        _seed(database, arguments.orders)
        if not database.is_sqlite:
            with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM"))
        for name, search in _searches(database).items():
            print(f"{name:56} {_measured(database, search)}", flush=True)


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[Database]:
    if kind == "sqlite":
        database = Database(f"sqlite:///{folder}/imageblur.db")
        yield database
        database.close()
        return
    server = PostgresServer(folder)
    server.start()
    try:
        database = Database(server.create_database())
        yield database
        database.close()
    finally:
        server.kill()


def _seed(database: Database, count: int) -> None:
    """Write orders without images, but for one that failed in each 200th order, by two statements of the database."""
    if database.is_sqlite:
        numbers = f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
        new_id, source = "lower(hex(randomblob(16)))", "numbers"
    else:
        numbers, new_id, source = "", "gen_random_uuid()", f"generate_series(1, {count}) AS numbers(n)"
    with database.read() as session:
        end = session.scalar(select(now())) or 0
    created = f"{end} - CAST({count} - n AS BIGINT) * {DAYS * 86_400 * SECOND // count}"
    state = "CASE WHEN n % 200 = 0 THEN 'PARTIALLY_FAILED' WHEN n % 1000 = 1 THEN 'CANCELLED' ELSE 'SUCCEEDED' END"
    orders = f"""
        INSERT INTO orders (id, principal, email, locale, spec, state, total, succeeded, failed, cancelled, revision,
            created_at, started_at, finished_at, expires_at)
        {numbers}
        SELECT {new_id}, 'key:' || n % 50, 'person' || n % {ADDRESSES} || '@example.org', 'en', :spec, {state}, 2,
            1, 0, 0, 6, {created}, {created}, {created}, {end} + 86400000000 * {DAYS} FROM {source}
    """
    images = f"""
        INSERT INTO images (id, order_id, position, filename, state, reason, message, attempts, crashes, not_before,
            finished_at, revision, input_bytes, output_bytes, width, height, tidied, dropped)
        SELECT {new_id}, id, 1, 'a.jpg', 'FAILED', CASE WHEN created_at % 10 = 0 THEN 'TIMED_OUT' ELSE 'CORRUPT' END,
            'x', 1, 0, 0, created_at, 2, 1, 0, 0, 0, true, false FROM orders WHERE state = 'PARTIALLY_FAILED'
    """
    with database.write(durable=False) as session:
        session.execute(text(orders), {"spec": BlurSpec().to_json()})
        session.execute(text(images))
    with database.engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        connection.commit()


def _searches(database: Database) -> dict[str, Search]:
    with database.read() as session:
        oldest = session.execute(select(Order.id, Order.created_at).order_by(Order.created_at).limit(1)).one()
    day = 24 * 3600 * SECOND
    filters = {
        "newest": OrderFilter(),
        "first 4 digits of an id": OrderFilter(id_prefix=oldest.id.hex[:4]),
        "first 8 digits of an id": OrderFilter(id_prefix=oldest.id.hex[:8]),
        "rare state": OrderFilter(states=[OrderState.CANCELLED]),
        "three states": OrderFilter(states=[OrderState.PARTIALLY_FAILED, OrderState.FAILED, OrderState.CANCELLED]),
        "part of an address that one person has": OrderFilter(email_part="erson4711@"),
        "part of an address that nobody has": OrderFilter(email_part="nobody-has-this"),
        "part of an address that everybody has": OrderFilter(email_part="example"),
        "part of an address, and a rare state": OrderFilter(
            email_part="erson200@", states=[OrderState.PARTIALLY_FAILED]
        ),
        "principal": OrderFilter(principal="key:7"),
        "one day": OrderFilter(from_time=oldest.created_at + day, to_time=oldest.created_at + 2 * day),
    }
    searches: dict[str, Search] = {
        f"list: {name}": lambda session, which=which: order_search.list_ids(session, which, before=None, limit=51)  # type: ignore[misc]
        for name, which in filters.items()
    }
    extend = order_selection.eligible(OrderAction.EXTEND)
    for name in ("newest", "one day", "part of an address that everybody has"):
        searches[f"dry run: {name}"] = lambda session, which=filters[name]: order_search.count(session, which, extend)  # type: ignore[misc]
    searches["failures by reason"] = lambda session: failures.count_by_reason(session, FailureFilter())
    searches["failures: retry those of the service, dry run"] = lambda session: failures.count(
        session, FailureFilter(cause=Cause.SERVICE), retryable=True
    )
    return searches


def _measured(database: Database, search: Search) -> str:
    if database.is_sqlite:
        times = []
        for _ in range(ROUNDS):
            begin = time.process_time()
            with database.read() as session:
                search(session)
            times.append(time.process_time() - begin)
        return f"{1000 * median(times):8.1f} ms of the processor"
    pages, shortest = _pages_read(database, search), float("inf")
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        with database.read() as session:
            search(session)
        shortest = min(shortest, time.perf_counter() - begin)
    return f"{pages:8,} pages, {1000 * shortest:8.1f} ms at least"


def _pages_read(database: Database, search: Search) -> int:
    """Return the pages that PostgreSQL reads, from its memory or not, for the statements of a search."""
    statements: list[tuple[str, Any]] = []

    def remember(_connection: Connection, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith("SELECT"):
            statements.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", remember)
    try:
        with database.read() as session:
            search(session)
    finally:
        event.remove(database.engine, "before_cursor_execute", remember)
    total = 0
    with database.engine.connect() as connection:
        for statement, parameters in statements:
            plan: Any = connection.exec_driver_sql(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters
            ).scalar_one()
            total += plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]
    return total


if __name__ == "__main__":
    main()
