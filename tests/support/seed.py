"""Finished orders by the million, written into a database without the services, by statements of the database."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Index, Table, bindparam, select, text, update
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.engine import Database
from services.common.db.models import Delivery, Email, Image, Installation, Order
from services.common.db.models.base import table
from services.common.domain.spec import BlurSpec

IMAGES = 2
MAILED_SHARE = 4
"""One order of so many was mailed."""
BATCH = 100_000
_TABLES: Sequence[Table] = tuple(map(table, (Order, Image, Delivery, Email)))


@dataclass(frozen=True, kw_only=True)
class Seed:
    """Orders of two images each that finished within so many days up to now and expire after as many."""

    orders: int
    days: float
    failed_share: int = 200
    """One order of so many has an image that failed; of these every tenth by a fault of the service."""
    addresses: int = 50_000


def seed_orders(database: Database, seed: Seed, *, progress: Callable[[int], None] = lambda _: None) -> None:
    """Write the orders; their ids are random, everything else is the same each time."""
    with database.read() as session:
        end = session.scalar(select(now())) or 0
    step = int(seed.days * 86_400 * SECOND) // max(1, seed.orders)
    begin = end - step * seed.orders
    large = seed.orders > BATCH
    if large:  # indices are made at once in the end: an order of magnitude faster than row by row
        indices = [index for each in _TABLES for index in each.indexes]
        _change(database, indices, create=False)
    for first in range(0, seed.orders, BATCH):
        last = min(first + BATCH, seed.orders) - 1
        with database.write(durable=False) as session:
            _insert(session, seed, range(first, last + 1), begin=begin, step=step)
        progress(last + 1)
    if large:
        _change(database, indices, create=True)
    with database.write() as session:
        session.execute(update(Installation).values(installed_at=begin))
    if not database.is_sqlite:  # as autovacuum does; SQLite has statistics of its data only if somebody asks for them
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def _change(database: Database, indices: Sequence[Index], *, create: bool) -> None:
    with database.engine.connect() as connection:
        if database.is_sqlite:
            connection.execute(text("PRAGMA cache_size = -500000"))
        for index in indices:
            (index.create if create else index.drop)(connection)
        connection.commit()


def _insert(session: Session, seed: Seed, numbered: range, *, begin: int, step: int) -> None:
    """Write the orders of these numbers, then what belongs to them: `n` is the number of an order."""
    first, last = numbered[0], numbered[-1]
    if session.get_bind().dialect.name == "sqlite":
        new_id, random, hash_ = "lower(hex(randomblob(16)))", "abs(random() % 1000)", "lower(hex(randomblob(32)))"
        numbers = f"WITH RECURSIVE numbers(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})"
        source = "numbers"
        session.execute(text("PRAGMA cache_size = -500000"))
    else:
        new_id, random = "gen_random_uuid()", "CAST(floor(random() * 1000) AS bigint)"
        hash_ = "encode(sha256(uuid_send(gen_random_uuid())), 'hex')"
        numbers, source = "", f"generate_series(CAST({first} AS bigint), {last}) AS numbers(n)"
    lifetime = int(seed.days * 86_400 * SECOND) + 3600 * SECOND
    session.execute(
        text(f"""
        INSERT INTO orders (id, principal, email, locale, spec, state, total, succeeded, failed, cancelled, revision,
            created_at, started_at, finished_at, expires_at)
        {numbers}
        SELECT {new_id}, 'ip:10.' || (n % 50) || '.0.0', 'person' || (n % {seed.addresses}) || '@example.org', 'en',
            :spec, CASE WHEN n % {seed.failed_share} = 0 THEN 'PARTIALLY_FAILED' ELSE 'SUCCEEDED' END, {IMAGES},
            CASE WHEN n % {seed.failed_share} = 0 THEN {IMAGES - 1} ELSE {IMAGES} END,
            CASE WHEN n % {seed.failed_share} = 0 THEN 1 ELSE 0 END, 0, 6,
            at - 2 * {SECOND}, at - {SECOND}, at, at + {lifetime}
        FROM (SELECT n, {begin} + n * {step} AS at FROM {source}) AS numbered
        """).bindparams(bindparam("spec", BlurSpec().to_json()))
    )  # fmt: skip
    number = f"((finished_at - {begin}) / {step})"
    orders = f"orders WHERE finished_at BETWEEN {begin + first * step} AND {begin + last * step}"
    for position in range(1, IMAGES + 1):
        ok = f"({position} > failed)"
        session.execute(
            text(f"""
            INSERT INTO images (id, order_id, position, filename, queue, state, reason, message, attempts, crashes,
                not_before, enqueued_at, started_at, finished_at, revision, input_bytes, input_sha256, output_bytes,
                output_sha256, width, height, format, engine, tidied, dropped)
            SELECT {new_id}, id, {position}, 'photograph{position}.jpg', 'blur',
                CASE WHEN {ok} THEN 'SUCCEEDED' ELSE 'FAILED' END,
                CASE WHEN {ok} THEN NULL WHEN {number} % {10 * seed.failed_share} = 0 THEN 'TIMED_OUT'
                    ELSE 'CORRUPT' END,
                CASE WHEN {ok} THEN NULL ELSE 'what went wrong' END,
                1, 0, 0, started_at, finished_at - 20000 - {random} * {random}, finished_at, {2 + position},
                400000, {hash_}, CASE WHEN {ok} THEN 300000 ELSE 0 END, CASE WHEN {ok} THEN {hash_} END, 2000, 1000,
                CASE WHEN {ok} THEN 'JPEG' END, 'seed', true, false
            FROM {orders}
            """)
        )  # fmt: skip
    session.execute(
        text(f"""
        INSERT INTO deliveries (id, order_id, state, requested_at, finished_at)
        SELECT {new_id}, id, 'SENT', finished_at - {SECOND}, finished_at + {SECOND}
        FROM {orders} AND {number} % {MAILED_SHARE} = 0
        """)
    )
    session.execute(
        text(f"""
        INSERT INTO emails (id, kind, delivery_id, part, state, attempts, not_before, started_at, smtp_reply, sent_at,
            dropped)
        SELECT {new_id}, 'ORDER_READY', id, 1, 'SENT', 1, 0, finished_at - {SECOND}, '250 ok', finished_at, false
        FROM deliveries
        WHERE finished_at BETWEEN {begin + first * step + SECOND} AND {begin + last * step + SECOND}
        """)
    )
