"""Answers GetStatistics from time series; points that will not change are kept."""

from collections.abc import Iterator, Mapping, Sequence

from imageblur.v1 import operator_pb2, order_pb2
from imageblur.v1 import operator_service_pb2 as pb
from sqlalchemy.orm import Session

from services.common.db.statistics import statistics
from services.common.db.statistics.activity_point import Point
from services.gateway.rpc.timestamps import duration, timestamp

_MOST_KEPT = 5000
_PERCENTILES = (50, 95)


class Statistics:
    """Answers with what it has answered before as far as that is settled: charts are reloaded every few seconds."""

    def __init__(self) -> None:
        self._settled: dict[int, dict[int, operator_pb2.StatisticsPoint]] = {}
        """By the length of a step and its beginning."""

    def answer(self, session: Session, *, span: int, step: int) -> pb.GetStatisticsResponse:
        """Return the time series of a span up to now, in steps of `step` (µs)."""
        if sum(map(len, self._settled.values())) > _MOST_KEPT:
            self._settled = {}
        settled = self._settled.get(step, {})  # stays as it is here when another thread forgets all
        series = statistics.get_time_series(session, span=span, step=step, known=settled)
        points = {point.start: _point(point) for point in series.points}
        first = next(iter(points))
        known = [settled[start] for start in range(series.begin, first, step)]
        since, until = series.settled
        if new := {start: it for start, it in points.items() if since <= start and start + step <= until}:
            self._settled.setdefault(step, {}).update(new)
        return pb.GetStatisticsResponse(points=[*known, *points.values()], sampled=series.sampled)


def percentiles(values: Mapping[int, int], percents: Sequence[int]) -> Iterator[int]:
    """Yield for each of `percents` (ascending, up to 100) the smallest value that is not below so many of the values.

    Args:
        values: How often there is each value; at least one.
        percents: In percent.
    """
    ordered, total, passed = iter(sorted(values.items())), sum(values.values()), 0
    value = 0
    for percent in percents:
        rank = max(1, -(-total * percent // 100))
        while passed < rank:
            value, count = next(ordered)
            passed += count
        yield value


def _point(point: Point) -> operator_pb2.StatisticsPoint:
    message = operator_pb2.StatisticsPoint(
        start_time=timestamp(point.start),
        orders=point.orders,
        images_succeeded=point.succeeded,
        images_failed=point.failed,
        images_failed_by_service=point.failed_by_service,
        checks_clean=point.clean,
        checks_remaining=point.remaining,
        findings=[
            operator_pb2.FindingCount(
                kind=order_pb2.FindingKind.Value(f"FINDING_KIND_{kind}"), found=found, hidden=hidden
            )
            for kind, (found, hidden) in sorted(point.findings.items())
        ],
        emails_sent=point.emails,
    )
    for name, values in (("wait", point.waits), ("work", point.works)):
        if values:
            for percent, value in zip(_PERCENTILES, percentiles(values, _PERCENTILES), strict=True):
                getattr(message, f"{name}_p{percent}").CopyFrom(duration(value))
    return message
