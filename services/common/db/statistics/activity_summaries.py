"""Statements about summaries of what happened, so that statistics need not count the rows of a week.

A job summarises each minute once, and from these the longer spans. Summaries outlive the orders they count.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from services.common.db.clock import SECOND, now
from services.common.db.models import ActivityProgress, ActivitySummary, Installation
from services.common.db.statistics.activity_point import Point
from services.common.db.statistics.activity_rows import count_rows
from services.common.db.upsert import insert_if_absent

_MINUTE = 60 * SECOND
_DAY = 86_400 * SECOND
LEVELS = {_MINUTE: 8 * _DAY, 6 * _MINUTE: 60 * _DAY, 24 * _MINUTE: 400 * _DAY, 168 * _MINUTE: 4000 * _DAY}
"""Lengths of summaries, and how long they are kept. Each divides the next; they are the steps of operators' charts."""
_SPANS = tuple(LEVELS)
_LATE = 2 * _MINUTE
"""A row's time is taken before its commit: a minute is summarised only when no commit with its time is to come."""
_MINUTES_AT_ONCE = 60
_FIRST = 8 * _DAY
"""How far back the first summaries of a database go that had none."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What happened in the minutes after the last summary."""

    begin: int
    """From when (µs) ..."""
    end: int
    """... until before when; not after `begin` if there is nothing to summarise yet."""
    minutes: list[Point]
    more: bool
    """Whether more minutes have passed, which the next call counts."""


def count_next(session: Session) -> Counted:
    """Count what happened in the hour after the last summary, or in what has passed of it.

    A transaction that only reads: counting an hour with many images takes seconds, and SQLite has one writer.
    """
    time = session.scalar(select(now())) or 0
    progress = session.get(ActivityProgress, 1)
    if progress is None:
        installed_at = session.scalar(select(Installation.installed_at)) or 0
        begin = max(time - _FIRST, installed_at) // _SPANS[-1] * _SPANS[-1]
    else:
        begin = progress.until
    last = (time - _LATE) // _MINUTE * _MINUTE
    end = min(last, begin + _MINUTES_AT_ONCE * _MINUTE)
    minutes = count_rows(session, begin, end, _MINUTE)[0] if end > begin else []
    return Counted(begin=begin, end=end, minutes=minutes, more=end < last)


def add(session: Session, counted: Counted) -> None:
    """Add summaries of what was counted, and delete those that are too old.

    One transaction: of two schedulers that have counted the same, one waits for the other, and adds nothing.
    """
    time = session.scalar(select(now())) or 0
    for span, kept in LEVELS.items():
        session.execute(
            delete(ActivitySummary).where(ActivitySummary.span == span, ActivitySummary.start < time - kept)
        )
    insert_if_absent(session, ActivityProgress, {"id": 1, "since": counted.begin, "until": counted.begin})
    progress = session.get_one(ActivityProgress, 1, with_for_update=True)
    if progress.until != counted.begin or counted.end <= counted.begin:
        return
    _insert(session, _MINUTE, counted.minutes)
    for shorter, longer in pairwise(_SPANS):
        for start in range(counted.begin // longer * longer, counted.end // longer * longer, longer):
            whole = Point(start)
            for part in _read(session, shorter, start, start + longer):
                whole.add(part)
            _insert(session, longer, [whole])
    progress.until = counted.end


def read(session: Session, begin: int, step: int, *, time: int) -> tuple[list[Point], int, int]:
    """Return the summaries from `begin` until `time`, which is now (µs), that fit into steps of `step`.

    Returns:
        The summaries, and from when until when they are complete; the rows have the rest.
    """
    fitting = [span for span in _SPANS if step % span == 0]
    progress = session.get(ActivityProgress, 1) if fitting else None
    if progress is None:
        return [], begin, begin
    # What is older than that may be deleted at the level that the rest of the span needs.
    first = position = max(begin, progress.since, *(-((LEVELS[span] - time) // span) * span for span in fitting[-1:]))
    found: list[Point] = []
    for span in reversed(fitting):
        end = progress.until // span * span
        if position < end:
            found += _read(session, span, position, end)
            position = end
    return found, first, max(first, position)


def _read(session: Session, span: int, begin: int, end: int) -> Iterator[Point]:
    rows = select(ActivitySummary.start, ActivitySummary.counts).where(
        ActivitySummary.span == span, ActivitySummary.start >= begin, ActivitySummary.start < end
    )
    for start, counts in session.execute(rows):
        yield Point.from_json(start, counts)


def _insert(session: Session, span: int, points: list[Point]) -> None:
    session.add_all(
        ActivitySummary(span=span, start=point.start, counts=point.to_json())
        for point in points
        if not point.is_empty()
    )
    session.flush()
