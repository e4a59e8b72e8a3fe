"""Parses when and how fast a mailing is to be sent."""

from datetime import UTC, datetime, timedelta

from imageblur.v1 import operator_service_pb2 as pb

from services.common.domain.errors import InvalidArgument, Violation
from services.common.domain.mailing_times import MINUTES, MailingPlan, SendingWindow

MAX_AHEAD = timedelta(days=366)
MAX_PER_HOUR = 10_000_000


def parse_plan(request: pb.RunMailingRequest, now: datetime) -> MailingPlan:
    """Return the plan of a request.

    Raises:
        InvalidArgument: A time, the window or the rate is not valid.
    """
    if request.HasField("send_time") and request.local_time:
        raise InvalidArgument(Violation("local_time", "must not be set together with send_time"))
    if not 0 <= request.max_per_hour <= MAX_PER_HOUR:
        raise InvalidArgument(Violation("max_per_hour", f"must be 0 to {MAX_PER_HOUR:,}"))
    return MailingPlan(
        send_at=_send_time(request, now),
        local_time=_local_time(request.local_time, now),
        window=_window(request),
        per_hour=request.max_per_hour or None,
    )


def _send_time(request: pb.RunMailingRequest, now: datetime) -> datetime | None:
    if not request.HasField("send_time"):
        return None
    try:
        time = request.send_time.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        time = datetime.max.replace(tzinfo=UTC)
    return _near("send_time", time, now)


def _local_time(text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(Violation("local_time", "must be a time such as 2026-12-07T09:00")) from None
    if time.tzinfo:
        raise InvalidArgument(Violation("local_time", "must have no time zone: it is by each reader's clock"))
    time = time.replace(second=0, microsecond=0)
    _near("local_time", time.replace(tzinfo=UTC), now)
    return time


def _near(field: str, time: datetime, now: datetime) -> datetime:
    if not now - timedelta(days=1) <= time <= now + MAX_AHEAD:
        raise InvalidArgument(Violation(field, "must be within a year from now"))
    return time


def _window(request: pb.RunMailingRequest) -> SendingWindow | None:
    if not request.HasField("window"):
        return None
    begin, end = request.window.begin_minute, request.window.end_minute
    if not (0 <= begin < MINUTES and 0 <= end < MINUTES) or begin == end:
        raise InvalidArgument(Violation("window", f"must begin and end at different minutes from 0 to {MINUTES - 1}"))
    return SendingWindow(begin=begin, end=end)
