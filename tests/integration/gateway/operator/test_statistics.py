"""Answers to GetStatistics are the same whether points were kept or not, and kept points are not read again."""

import pytest
from imageblur.v1 import operator_service_pb2 as pb
from sqlalchemy import event, update

from services.common.db.clock import SECOND
from services.common.db.engine import Database
from services.common.db.models import ActivitySummary, Image
from services.common.db.statistics import activity_summaries
from services.gateway.operator.queues.statistics import Statistics
from tests.support.seed import Seed, seed_orders

MINUTE = 60 * SECOND


@pytest.fixture(autouse=True)
def _orders(database: Database) -> None:
    seed_orders(database, Seed(orders=300, days=0.5))


def summarise(database: Database) -> None:
    more = True
    while more:
        with database.read() as session:
            counted = activity_summaries.count_next(session)
        with database.write() as session:
            activity_summaries.add(session, counted)
        more = counted.more


def answer(database: Database, statistics: Statistics, *, hours: int, step: int) -> pb.GetStatisticsResponse:
    with database.read() as session:
        return statistics.answer(session, span=hours * 60 * MINUTE, step=step)


def same(one: pb.GetStatisticsResponse, other: pb.GetStatisticsResponse) -> bool:
    """Whether they tell the same, but for steps that have begun or gone meanwhile."""
    points = [{point.start_time.seconds: point for point in each.points} for each in (one, other)]
    common = points[0].keys() & points[1].keys()
    return len(common) >= len(points[0]) - 3 and all(points[0][start] == points[1][start] for start in common)


@pytest.mark.parametrize(("hours", "step"), [(1, MINUTE), (12, 24 * MINUTE), (12, 17 * MINUTE), (1, 30 * SECOND)])
def test_kept_points_are_what_would_be_read(database: Database, hours: int, step: int) -> None:
    summarise(database)
    statistics = Statistics()
    first = answer(database, statistics, hours=hours, step=step)
    assert sum(point.images_succeeded for point in first.points)
    assert same(first, answer(database, statistics, hours=hours, step=step))
    assert same(first, answer(database, Statistics(), hours=hours, step=step))


def test_settled_points_are_not_read_again(database: Database) -> None:
    summarise(database)
    statistics, read = Statistics(), []
    first = answer(database, statistics, hours=12, step=24 * MINUTE)

    def remember(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if ActivitySummary.__tablename__ in statement:
            read.append(parameters)

    with database.write() as session:  # would be noticed
        session.execute(update(ActivitySummary).where(ActivitySummary.span == 24 * MINUTE).values(counts="{}"))
    assert same(first, answer(database, statistics, hours=12, step=24 * MINUTE))
    assert not same(first, answer(database, Statistics(), hours=12, step=24 * MINUTE))
    event.listen(database.engine, "before_cursor_execute", remember)
    answer(database, statistics, hours=12, step=24 * MINUTE)
    event.remove(database.engine, "before_cursor_execute", remember)
    assert len(read) <= 3  # of the step that goes on


def test_what_is_not_summarised_is_counted_each_time(database: Database) -> None:
    statistics = Statistics()
    first = answer(database, statistics, hours=12, step=24 * MINUTE)
    with database.write() as session:
        session.execute(update(Image).values(state="FAILED", reason="TIMED_OUT"))
    again = answer(database, statistics, hours=12, step=24 * MINUTE)
    assert sum(point.images_failed for point in first.points) < 10
    assert sum(point.images_failed for point in again.points) > 500
