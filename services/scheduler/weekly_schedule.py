"""When the weekly mailing is due. Pure: time in, time out."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

CATCH_UP = timedelta(hours=48)
"""A mailing that nobody could send at its hour is sent up to so much later, rather than not at all."""
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Due:
    """A mailing that is due."""

    period: str
    """The ISO week, such as `2026-W48`."""
    at: datetime


@dataclass(frozen=True)
class WeeklyHour:
    """A day of the week (`mon` to `sun`) and an hour, in a time zone.

    Counted from the calendar, not from a trigger's next time after a moment: APScheduler's cron trigger leaves out an
    hour at midnight when that moment is on the other side of a change of clocks.
    """

    day: str
    hour: int
    zone: ZoneInfo

    def latest_due(self, now: datetime, *, not_before: datetime) -> Due | None:
        """The mailing that is due at `now`: of the last 48 hours, and after `not_before` (the installation).

        Of an hour that comes twice, the first counts; for one that is left out, the one after it.
        """
        today = now.astimezone(self.zone).date()
        day = today - timedelta(days=(today.weekday() - _DAYS.index(self.day)) % 7)
        # By way of UTC, which has an hour for every one that the clocks leave out.
        at = datetime.combine(day, time(self.hour), tzinfo=self.zone).astimezone(UTC)
        if not max(now - CATCH_UP, not_before) <= at <= now:
            return None
        year, week, _ = day.isocalendar()
        return Due(f"{year}-W{week:02d}", at.astimezone(self.zone))
