"""Statements that count what happened from the rows of orders, images and e-mails themselves."""

import json

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import Session

from services.common.db.models import Email, Image, Order
from services.common.db.operators import failures
from services.common.db.statistics.activity_point import Point
from services.common.domain.findings import CheckState
from services.common.domain.orders import ImageState

MOST_TIMES = 50_000
"""Images whose times are read, the newest of the span; if there are more, the times are a sample."""

_FAILED = Image.state == ImageState.FAILED
_OF_IMAGES: dict[str, ColumnElement[bool]] = {
    "succeeded": Image.state == ImageState.SUCCEEDED,
    "failed": _FAILED,
    "failed_by_service": _FAILED & failures.SERVICE_IMAGE,
    "clean": Image.check_state == CheckState.CLEAN,
    "remaining": Image.check_state == CheckState.REMAINING,
}


def count_rows(session: Session, begin: int, end: int, step: int) -> tuple[list[Point], bool]:
    """Return what happened from `begin` until before `end` (µs), in steps that begin at multiples of `step`.

    Returns:
        The steps in which something happened, and whether times are those of `MOST_TIMES` images only.
    """
    points: dict[int, Point] = {}

    def at(moment: int) -> Point:
        return points.setdefault(moment // step * step, Point(moment // step * step))

    for name, column in (("orders", Order.created_at), ("emails", Email.sent_at)):
        bucket = column - column % step
        counts = select(bucket, func.count()).where(column >= begin, column < end).group_by(bucket)
        for moment, count in session.execute(counts):
            setattr(at(moment or 0), name, count)
    finished = (Image.finished_at >= begin, Image.finished_at < end)
    bucket = Image.finished_at - Image.finished_at % step
    # One pass over the images for all the numbers.
    numbers = (func.count(case((condition, 1))).label(name) for name, condition in _OF_IMAGES.items())
    for row in session.execute(select(bucket.label("moment"), *numbers).where(*finished).group_by(bucket)):
        for name in _OF_IMAGES:
            if count := getattr(row, name):
                setattr(at(row.moment), name, count)
    found = select(bucket, Image.found, func.count()).where(*finished, Image.found.is_not(None))
    for moment, counts_json, images in session.execute(found.group_by(bucket, Image.found)):
        for kind, (number, hidden) in json.loads(counts_json or "{}").items():
            at(moment or 0).add_findings(kind, number * images, hidden * images)
    times = session.execute(
        select(Image.finished_at, Image.started_at, Order.created_at)
        .join(Order, Order.id == Image.order_id)
        .where(*finished, Image.started_at.is_not(None), Image.state != ImageState.CANCELLED)
        .order_by(Image.finished_at.desc())
        .limit(MOST_TIMES)
    ).all()
    for finished_at, started_at, created_at in times:
        assert finished_at is not None
        assert started_at is not None
        at(finished_at).waits[max(0, started_at - created_at)] += 1
        at(finished_at).works[max(0, finished_at - started_at)] += 1
    return list(points.values()), len(times) == MOST_TIMES
