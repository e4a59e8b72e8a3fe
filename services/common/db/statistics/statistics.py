"""Rates and times over a span, from summaries and, where there are none yet, from the rows."""

from collections.abc import Container, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.common.db.clock import now
from services.common.db.statistics import activity_summaries
from services.common.db.statistics.activity_point import Point
from services.common.db.statistics.activity_rows import count_rows


@dataclass(frozen=True, kw_only=True)
class TimeSeries:
    """Rates and times, step by step."""

    begin: int
    """Beginning of the span, in microseconds since the Unix epoch."""
    points: Sequence[Point]
    """Points from the first that is not known."""
    settled: tuple[int, int]
    """Points of steps within that time will not change: they are from summaries."""
    sampled: bool
    """Whether times are those of some images only, since there are too many."""


def get_time_series(session: Session, *, span: int, step: int, known: Container[int] = ()) -> TimeSeries:
    """Return rates and times of a span (µs) up to now, in steps that begin at whole multiples of `step`.

    Args:
        session: A transaction.
        span: How long, in microseconds.
        step: How long a step is.
        known: Beginnings of steps that the caller has; those up to the first that it has not are not read again.
    """
    time = session.scalar(select(now())) or 0
    begin = first = (time - span) // step * step
    while first in known:
        first += step
    points = {start: Point(start) for start in range(first, time + 1, step)}
    summaries, since, until = activity_summaries.read(session, first, step, time=time)
    before, before_sampled = count_rows(session, first, since, step) if first < since else ([], False)
    after, after_sampled = count_rows(session, until, time + 1, step)
    for found in (before, summaries, after):
        for point in found:
            if step_of := points.get(point.start // step * step):
                step_of.add(point)
    return TimeSeries(
        begin=begin, points=list(points.values()), settled=(since, until), sampled=before_sampled or after_sampled
    )
