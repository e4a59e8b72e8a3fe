"""When the mailing of the week is due. Pure: times in, times out."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

CATCH_UP = timedelta(hours=48)
"""A mailing that could not be made at its hour is made up to so much later."""
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

    Computed from the calendar: APScheduler's cron trigger skips an hour at midnight if it is asked for the time after a
    moment on the other side of a change of clocks.
    """

    day: str
    hour: int
    zone: ZoneInfo

    def latest_due(self, now: datetime, *, not_before: datetime) -> Due | None:
        """Return the mailing due at `now`: of the last 48 hours, and after `not_before` (the installation).

        Of an hour that occurs twice, the first counts; for one that is skipped, the one after it.
        """
        today = now.astimezone(self.zone).date()
        day = today - timedelta(days=(today.weekday() - _DAYS.index(self.day)) % 7)
        # Through UTC, which turns an hour that the clocks skip into the one after it.
        at = datetime.combine(day, time(self.hour), tzinfo=self.zone).astimezone(UTC)
        if not max(now - CATCH_UP, not_before) <= at <= now:
            return None
        year, week, _ = day.isocalendar()
        return Due(f"{year}-W{week:02d}", at.astimezone(self.zone))
