"""Summaries of what happened tell the same as the rows they were made of, and outlive them."""

from collections import Counter
from dataclasses import asdict

import pytest
from sqlalchemy import delete, select

from services.common.db.clock import SECOND, now
from services.common.db.engine import Database
from services.common.db.models import ActivityProgress, ActivitySummary, Image, Order
from services.common.db.statistics import activity_summaries, statistics
from services.common.db.statistics.activity_point import Point
from services.common.db.statistics.activity_rows import count_rows
from tests.support.seed import Seed, seed_orders

MINUTE = 60 * SECOND
DAY = 86_400 * SECOND


@pytest.fixture(autouse=True)
def _orders(database: Database) -> None:
    seed_orders(database, Seed(orders=400, days=2))


def summarise(database: Database) -> int:
    """Summarise all that there is; the number of transactions."""
    for number in range(1, 1000):
        with database.read() as session:
            counted = activity_summaries.count_next(session)
        with database.write() as session:
            activity_summaries.add(session, counted)
        if not counted.more:
            return number
    raise AssertionError("it does not end")


def series(database: Database, span: int, step: int) -> dict[int, Point]:
    with database.read() as session:
        return {point.start: point for point in statistics.get_time_series(session, span=span, step=step).points}


def counts(point: Point) -> dict[str, object]:
    return {name: value for name, value in asdict(point).items() if name not in {"waits", "works"}}


@pytest.mark.parametrize(
    ("span", "step"),
    [
        (60 * MINUTE, MINUTE),
        (360 * MINUTE, 6 * MINUTE),
        (DAY, 24 * MINUTE),
        (DAY, 17 * MINUTE),
        (7 * DAY, 168 * MINUTE),
        (60 * MINUTE, 7 * SECOND),
    ],
)
def test_summaries_tell_what_the_rows_tell(database: Database, span: int, step: int) -> None:
    before = series(database, span, step)
    assert sum(point.orders for point in before.values())
    summarise(database)
    after = series(database, span, step)
    same = before.keys() & after.keys()
    assert len(same) >= len(before) - 30  # the clock goes on meanwhile
    for start in same:
        assert counts(before[start]) == counts(after[start])
        for exact, summarised in ((before[start].waits, after[start].waits), (before[start].works, after[start].works)):
            for value, rounded in zip(sorted(exact.elements()), sorted(summarised.elements()), strict=True):
                assert rounded == pytest.approx(value, rel=0.026, abs=1)


def test_summaries_outlive_orders(database: Database) -> None:
    summarise(database)
    before = sum(point.succeeded for point in series(database, 2 * DAY, 24 * MINUTE).values())
    with database.write() as session:
        session.execute(delete(Image))
        session.execute(delete(Order))
    assert before > 700
    after = sum(point.succeeded for point in series(database, 2 * DAY, 24 * MINUTE).values())
    # Those of the last minutes were not summarised yet, and the oldest may be out of the series by now.
    assert before - 30 <= after <= before


def test_what_is_summarised_is_not_counted_again(database: Database) -> None:
    summarise(database)
    with database.read() as session:
        progress = session.get_one(ActivityProgress, 1)
        rows = {(row.span, row.start): row.counts for row in session.scalars(select(ActivitySummary))}
        points, _ = count_rows(session, progress.since, progress.until, MINUTE)
    assert len(points) == sum(span == MINUTE for span, _ in rows)
    summarise(database)
    with database.read() as session:
        assert (
            rows.items()
            <= {(row.span, row.start): row.counts for row in session.scalars(select(ActivitySummary))}.items()
        )


def test_old_summaries_are_deleted(database: Database) -> None:
    summarise(database)
    with database.write() as session:
        time = session.scalar(select(now())) or 0
        session.add(ActivitySummary(span=MINUTE, start=(time - 9 * DAY) // MINUTE * MINUTE, counts="{}"))
        session.add(ActivitySummary(span=168 * MINUTE, start=(time - 9 * DAY) // MINUTE * MINUTE, counts="{}"))
    summarise(database)
    with database.read() as session:
        old = select(ActivitySummary.span).where(ActivitySummary.start < time - 8 * DAY - MINUTE)
        assert session.scalars(old).all() == [168 * MINUTE]


def test_a_point_survives_as_json() -> None:
    point = Point(
        7, orders=3, failed=1, findings={"FACE": (5, 4)}, waits=Counter({1_000_000: 2}), works=Counter({0: 1, 50: 1})
    )
    again = Point.from_json(7, point.to_json())
    assert asdict(again) | {"waits": None, "works": None} == asdict(point) | {"waits": None, "works": None}
    ((wait, number),) = again.waits.items()
    assert number == 2
    assert wait == pytest.approx(1_000_000, rel=0.026)
    assert sum(again.works.values()) == 2
