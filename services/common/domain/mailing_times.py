"""When a mailing's e-mails are sent: at a time, by each reader's clock, within a window of each day. Pure."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

EARLIEST_ZONE = timedelta(hours=14)
"""How far clocks are ahead of UTC at most: there a local time comes first."""
MINUTES = 24 * 60
_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class SendingWindow:
    """A part of each day: from a minute of the day until another; if that is not later, until it on the next day."""

    begin: int
    end: int

    def closes_at(self, now: datetime, zone: ZoneInfo) -> datetime | None:
        """Return when the window that is open at `now` closes, in UTC; None if it is closed."""
        for day in (-1, 0):
            opened, closed = self._on(now, day, zone)
            if opened <= now < closed:
                return closed
        return None

    def opens_at(self, now: datetime, zone: ZoneInfo) -> datetime:
        """Return when it opens next, in UTC; `now` if it is open."""
        if self.closes_at(now, zone):
            return now
        return next(opened for day in (-1, 0, 1, 2) if (opened := self._on(now, day, zone)[0]) > now)

    def _on(self, now: datetime, day: int, zone: ZoneInfo) -> tuple[datetime, datetime]:
        date = now.astimezone(zone).date() + day * _DAY
        last = date + (_DAY if self.end <= self.begin else timedelta())
        opened = datetime(date.year, date.month, date.day, *divmod(self.begin, 60), tzinfo=zone)
        closed = datetime(last.year, last.month, last.day, *divmod(self.end, 60), tzinfo=zone)
        return opened.astimezone(UTC), closed.astimezone(UTC)


@dataclass(frozen=True, kw_only=True)
class MailingPlan:
    """When and how fast a mailing is sent; by default at once and as fast as the mail server takes it."""

    send_at: datetime | None = None
    local_time: datetime | None = None
    """By each reader's clock: without a zone."""
    time_zone: str | None = None
    """Time zone of the window, and of readers without one."""
    window: SendingWindow | None = None
    per_hour: int | None = None

    @property
    def begins_at(self) -> datetime | None:
        """When its first e-mail is due, in UTC; None: now."""
        if self.local_time:
            return self.local_time.replace(tzinfo=UTC) - EARLIEST_ZONE
        return self.send_at

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(self._values)

    @property
    def given(self) -> dict[str, object]:
        """What differs from the default, as JSON's values."""
        return {name: value for name, value in self._values.items() if value}

    @property
    def _values(self) -> dict[str, object]:
        return {
            "send_at": self.send_at and self.send_at.isoformat(),
            "local_time": self.local_time and self.local_time.isoformat(),
            "window": self.window and [self.window.begin, self.window.end],
            "per_hour": self.per_hour,
        }

    @classmethod
    def from_json(cls, text: str, *, time_zone: str | None) -> Self:
        """Return the plan that `to_json` wrote, in a time zone."""
        values = json.loads(text)
        window = values["window"]
        return cls(
            send_at=datetime.fromisoformat(values["send_at"]) if values["send_at"] else None,
            local_time=datetime.fromisoformat(values["local_time"]) if values["local_time"] else None,
            time_zone=time_zone,
            window=SendingWindow(begin=window[0], end=window[1]) if window else None,
            per_hour=values["per_hour"],
        )


def local_instant(local_time: datetime, zone: ZoneInfo) -> datetime:
    """Return when it is this time in a zone, in UTC: the first of two such hours, the next one if it is skipped."""
    return local_time.replace(tzinfo=zone).astimezone(UTC)
