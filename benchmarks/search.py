"""`python -m benchmarks.search`: what operators' searches cost among a million orders.

For each search of `OperatorService.ListOrders`, and for the counts of dry runs: the processor time of its statements
with SQLite; with PostgreSQL the pages of 8 kB that it reads, whatever else the machine does, and the shortest time.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Connection, event, select
from sqlalchemy.orm import Session

from benchmarks.databases import seeded_databases
from services.common.db.clock import SECOND
from services.common.db.engine import Database
from services.common.db.models import Order
from services.common.db.operators import failures
from services.common.db.operators.failures import FailureFilter
from services.common.db.orders import order_search, order_selection
from services.common.db.orders.order_search import OrderFilter
from services.common.db.orders.order_selection import OrderAction
from services.common.domain.failures import Cause
from services.common.domain.orders import OrderState
from tests.support.seed import Seed

ROUNDS = 5
DAYS = 14
Search = Callable[[Session], object]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--folder", type=Path, help="where the database is kept, and taken from the next time")
    arguments = parser.parse_args()
    seeds = {"full": Seed(orders=arguments.orders, days=DAYS)}
    with seeded_databases(arguments.database, arguments.folder, seeds) as (_, (url,)):
        database = Database(url)
        for name, search in _searches(database).items():
            print(f"{name:56} {_measured(database, search)}", flush=True)
        database.close()


def _searches(database: Database) -> dict[str, Search]:
    with database.read() as session:
        oldest = session.execute(select(Order.id, Order.created_at).order_by(Order.created_at).limit(1)).one()
    day = 24 * 3600 * SECOND
    filters = {
        "newest": OrderFilter(),
        "first 4 digits of an id": OrderFilter(id_prefix=oldest.id.hex[:4]),
        "first 8 digits of an id": OrderFilter(id_prefix=oldest.id.hex[:8]),
        "rare state": OrderFilter(states=[OrderState.PARTIALLY_FAILED]),
        "three states": OrderFilter(states=[OrderState.PARTIALLY_FAILED, OrderState.FAILED, OrderState.CANCELLED]),
        "whole address": OrderFilter(email_part="person4711@example.org"),
        "part of an address that one person has": OrderFilter(email_part="erson4711@"),
        "part of an address that nobody has": OrderFilter(email_part="nobody-has-this"),
        "part of an address that everybody has": OrderFilter(email_part="example"),
        "part of an address, and a rare state": OrderFilter(
            email_part="erson200@", states=[OrderState.PARTIALLY_FAILED]
        ),
        "principal": OrderFilter(principal="ip:10.7.0.0"),
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
