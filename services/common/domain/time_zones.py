"""Names of time zones (IANA)."""

from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones


@cache
def known_time_zones() -> frozenset[str]:
    """Return the names that this system knows."""
    return frozenset(available_timezones())


def find_zone(name: str | None, *, fallback: str | None = None) -> ZoneInfo:
    """Return a time zone by name; the fallback, or else UTC, if this system does not know it."""
    for known in (name, fallback):
        try:
            if known:
                return ZoneInfo(known)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return ZoneInfo("UTC")
