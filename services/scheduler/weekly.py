"""When the weekly mailing is due. Pure: time in, time out."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

CATCH_UP = timedelta(hours=48)
"""A mailing that nobody could send at its hour is sent up to so much later, rather than not at all."""


@dataclass(frozen=True)
class Due:
    """A mailing that is due."""

    period: str
    """The ISO week, such as `2026-W48`."""
    at: datetime


@dataclass(frozen=True)
class WeeklyHour:
    """A day of the week (`mon` to `sun`) and an hour, in a time zone."""

    day: str
    hour: int
    zone: ZoneInfo

    def latest_due(self, now: datetime, *, not_before: datetime) -> Due | None:
        """The mailing that is due at `now`: of the last 48 hours, and after `not_before` (the installation)."""
        trigger = CronTrigger(day_of_week=self.day, hour=self.hour, minute=0, timezone=self.zone)
        at = trigger.get_next_fire_time(None, now - CATCH_UP)
        if at is None or at > now or at < not_before:
            return None
        year, week, _ = at.isocalendar()
        return Due(f"{year}-W{week:02d}", at)
