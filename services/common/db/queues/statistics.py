"""Rates and times over a span, from summaries and, where there are none yet, from the rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.common.db.clock import now
from services.common.db.queues import activity_summaries
from services.common.db.queues.activity_point import Point
from services.common.db.queues.activity_rows import count_rows


@dataclass(frozen=True, kw_only=True)
class TimeSeries:
    """Rates and times, step by step."""

    points: Sequence[Point]
    sampled: bool
    """Whether times are those of some images only, since there are too many."""


def get_time_series(session: Session, *, span: int, step: int) -> TimeSeries:
    """Return rates and times of a span (µs) up to now, in steps that begin at whole multiples of `step`."""
    time = session.scalar(select(now())) or 0
    begin = (time - span) // step * step
    points = {start: Point(start) for start in range(begin, time + 1, step)}
    summaries, since, until = activity_summaries.read(session, begin, step)
    before, before_sampled = count_rows(session, begin, since, step) if begin < since else ([], False)
    after, after_sampled = count_rows(session, until, time + 1, step)
    for found in (before, summaries, after):
        for point in found:
            if step_of := points.get(point.start // step * step):
                step_of.add(point)
    return TimeSeries(points=list(points.values()), sampled=before_sampled or after_sampled)
