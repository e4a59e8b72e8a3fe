"""A span of time as a filter: a period up to now, a day, or two moments, in the time zone of the browser."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp

from services.common.domain.time_zones import known_time_zones

PERIODS = {"1h": 1, "24h": 24, "7d": 7 * 24, "30d": 30 * 24}
"""In hours up to now."""
DAYS = ("today", "yesterday")
CHOICES = ("1h", "24h", *DAYS, "7d", "30d")


@dataclass(frozen=True, kw_only=True)
class TimeFilter:
    """Fields of a form, each of which may be empty or wrong; wrong ones do not count."""

    period: str = ""
    begin: str = ""
    """Without a zone, such as `2026-11-30T09:00`."""
    end: str = ""
    zone: str = ""
    """Time zone of the browser, such as `Europe/Berlin`; a script fills it in. Empty: UTC."""

    @classmethod
    def of(cls, values: Mapping[str, object]) -> "TimeFilter":
        """Return the filter of a form or a URL."""
        period, zone = str(values.get("period", "")), str(values.get("zone", ""))
        begin, end = (_moment(str(values.get(name, ""))) for name in ("from", "to"))
        return cls(
            period=period if period in CHOICES else "",
            begin=begin,
            end=end,
            zone=zone if zone in known_time_zones() else "",
        )

    @property
    def query(self) -> dict[str, str]:
        """The filter as query parameters."""
        filled = {"period": self.period, "from": self.begin, "to": self.end}
        return filled | {"zone": self.zone if any(filled.values()) else ""}

    def span(self, now: datetime) -> tuple[Timestamp | None, Timestamp | None]:
        """Return begin and end; the later begin and the earlier end if both a period and moments are given."""
        zone = ZoneInfo(self.zone) if self.zone else UTC
        begins, ends = [_parse(self.begin, zone)], [_parse(self.end, zone)]
        if self.period in PERIODS:
            begins.append(now - timedelta(hours=PERIODS[self.period]))
        elif self.period in DAYS:
            today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
            # By the calendar: a day may have 23 or 25 hours.
            first = today - timedelta(days=DAYS.index(self.period))
            begins.append(first)
            ends.append(first + timedelta(days=1))
        begin = max((moment for moment in begins if moment), default=None)
        end = min((moment for moment in ends if moment), default=None)
        return _timestamp(begin), _timestamp(end)


def _moment(text: str) -> str:
    """Return a moment as forms write it; empty if it is none."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None).isoformat(timespec="minutes") if text else ""
    except ValueError:
        return ""


def _parse(text: str, zone: tzinfo) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=zone) if text else None


def _timestamp(moment: datetime | None) -> Timestamp | None:
    return None if moment is None else Timestamp(seconds=int(moment.timestamp()))
