"""Statements about rates and times, computed from the rows: they survive restarts of services."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from services.common.db.clock import now
from services.common.db.models import Email, Image, Order
from services.common.db.queues import failures
from services.common.domain.findings import CheckState
from services.common.domain.orders import ImageState

MOST_TIMES = 50_000
"""Images whose times are read, the newest of the span; if there are more, the times are a sample."""


@dataclass
class Point:
    """A step of the time series, from `start`; times in microseconds."""

    start: int
    orders: int = 0
    succeeded: int = 0
    failed: int = 0
    failed_by_service: int = 0
    clean: int = 0
    remaining: int = 0
    """Checks of results, by outcome."""
    findings: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By kind: how many there are, and how many were hidden."""
    emails: int = 0
    waits: list[int] = field(default_factory=list)
    works: list[int] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class TimeSeries:
    """Rates and times, step by step."""

    points: Sequence[Point]
    sampled: bool
    """Whether `waits` and `works` are of `MOST_TIMES` images only."""


def get_time_series(session: Session, *, span: int, step: int) -> TimeSeries:
    """Return rates and times of a span (µs) up to now, in steps that begin at whole multiples of `step`."""
    time = session.scalar(select(now())) or 0
    begin = (time - span) // step * step
    points = [Point(start) for start in range(begin, time + 1, step)]

    def at(moment: int) -> Point | None:
        index = (moment - begin) // step
        return points[index] if 0 <= index < len(points) else None

    counted: tuple[tuple[str, InstrumentedAttribute[Any], Sequence[ColumnElement[bool]]], ...] = (
        ("orders", Order.created_at, ()),
        ("emails", Email.sent_at, ()),
        ("succeeded", Image.finished_at, (Image.state == ImageState.SUCCEEDED,)),
        ("failed", Image.finished_at, (Image.state == ImageState.FAILED,)),
        ("failed_by_service", Image.finished_at, (Image.state == ImageState.FAILED, failures.SERVICE_IMAGE)),
        ("clean", Image.finished_at, (Image.check_state == CheckState.CLEAN,)),
        ("remaining", Image.finished_at, (Image.check_state == CheckState.REMAINING,)),
    )
    for name, column, conditions in counted:
        bucket = column - column % step
        for moment, count in session.execute(
            select(bucket, func.count()).where(column >= begin, *conditions).group_by(bucket)
        ):
            if point := at(moment):
                setattr(point, name, count)
    bucket = Image.finished_at - Image.finished_at % step
    found = select(bucket, Image.found, func.count()).where(Image.finished_at >= begin, Image.found.is_not(None))
    for moment, counts, images in session.execute(found.group_by(bucket, Image.found)):
        if (point := at(moment or 0)) and counts:
            _add_findings(point, json.loads(counts), images)
    times = session.execute(
        select(Image.finished_at, Image.started_at, Order.created_at)
        .join(Order, Order.id == Image.order_id)
        .where(Image.finished_at >= begin, Image.started_at.is_not(None), Image.state != ImageState.CANCELLED)
        .order_by(Image.finished_at.desc())
        .limit(MOST_TIMES)
    ).all()
    for finished_at, started_at, created_at in times:
        if point := at(finished_at or 0):
            assert finished_at is not None
            assert started_at is not None
            point.waits.append(max(0, started_at - created_at))
            point.works.append(max(0, finished_at - started_at))
    return TimeSeries(points=points, sampled=len(times) == MOST_TIMES)


def _add_findings(point: Point, counts: Mapping[str, tuple[int, int]], images: int) -> None:
    """Add the findings of so many images, each with these counts (`Inspection.counts_json`)."""
    for kind, (found, hidden) in counts.items():
        before = point.findings.get(kind, (0, 0))
        point.findings[kind] = (before[0] + found * images, before[1] + hidden * images)
